//! The services of AWS SDK integrations.

/// What their errors' names begin with; in lower case it is the service's word in `Resource`. Sorted by that word.
///
/// Source: AWS developer guide, "Learning to use AWS service SDK integrations in Step Functions", read 2026-08.
#[rustfmt::skip]
const PREFIXES: &[&str] = &[
    "AccessAnalyzer", "Account", "Acm", "AcmPca", "AiOps", "Amp", "Amplify", "AmplifyBackend", "AmplifyUiBuilder",
    "ApiGateway", "ApiGatewayV2", "AppConfig", "AppConfigData", "AppFabric", "Appflow", "AppIntegrations",
    "ApplicationAutoScaling", "ApplicationCostProfiler", "ApplicationDiscovery", "ApplicationInsights",
    "ApplicationSignals", "AppMesh", "AppRunner", "AppStream", "AppSync", "ArcRegionSwitch", "ArcZonalShift",
    "Athena", "AuditManager", "AutoScaling", "AutoScalingPlans", "B2Bi", "Backup", "BackupGateway", "BackupSearch",
    "Batch", "BcmDashboards", "BcmDataExports", "BcmPricingCalculator", "BcmRecommendedActions", "Bedrock",
    "BedrockAgent", "BedrockAgentCore", "BedrockAgentCoreControl", "BedrockAgentRuntime", "BedrockDataAutomation",
    "BedrockDataAutomationRuntime", "BedrockRuntime", "Billing", "Billingconductor", "Braket", "Budgets", "Chime",
    "ChimeSdkIdentity", "ChimeSdkMediaPipelines", "ChimeSdkMeetings", "ChimeSdkMessaging", "ChimeSdkVoice",
    "CleanRooms", "CleanRoomsMl", "Cloud9", "CloudControl", "CloudDirectory", "CloudFormation", "CloudFront",
    "CloudFrontKeyValueStore", "CloudHsm", "CloudHsmV2", "CloudSearch", "CloudTrail", "CloudTrailData", "CloudWatch",
    "CloudWatchLogs", "Codeartifact", "CodeBuild", "CodeCatalyst", "CodeCommit", "CodeConnections", "CodeDeploy",
    "CodeGuruProfiler", "CodeGuruReviewer", "CodeGuruSecurity", "CodePipeline", "CodeStarConnections",
    "CodestarNotifications", "CognitoIdentity", "CognitoIdentityProvider", "CognitoSync", "Comprehend",
    "ComprehendMedical", "ComputeOptimizer", "ComputeOptimizerAutomation", "Config", "Connect", "ConnectCampaigns",
    "ConnectCampaignsV2", "ConnectCases", "ConnectContactLens", "ConnectHealth", "ConnectParticipant",
    "ControlCatalog", "ControlTower", "CostAndUsageReport", "CostExplorer", "CostOptimizationHub", "CustomerProfiles",
    "DatabaseMigration", "DataBrew", "DataExchange", "DataPipeline", "DataSync", "DataZone", "Dax", "Deadline",
    "Detective", "DeviceFarm", "DevOpsAgent", "DevOpsGuru", "DirectConnect", "Directory", "DirectoryServiceData",
    "Dlm", "DocDb", "DocDbElastic", "Drs", "Dsql", "DynamoDb", "DynamoDbStreams", "Ebs", "Ec2", "Ec2InstanceConnect",
    "Ecr", "EcrPublic", "Ecs", "Efs", "Eks", "EksAuth", "ElastiCache", "ElasticBeanstalk", "ElasticInference",
    "ElasticLoadBalancing", "ElasticLoadBalancingV2", "Elasticsearch", "ElementalInference", "Emr", "EmrContainers",
    "EmrServerless", "EntityResolution", "EventBridge", "Finspace", "FinspaceData", "Firehose", "Fis", "Fms",
    "Forecast", "Forecastquery", "FraudDetector", "FreeTier", "FSx", "GameLift", "GameLiftStreams", "GeoMaps",
    "GeoPlaces", "GeoRoutes", "Glacier", "Glue", "Grafana", "Greengrass", "GreengrassV2", "GroundStation",
    "GuardDuty", "Health", "HealthLake", "Iam", "Identitystore", "Imagebuilder", "Inspector2", "InspectorScan",
    "Interconnect", "InternetMonitor", "Invoicing", "Iot", "IoTAnalytics", "IotDeviceAdvisor", "IotEvents",
    "IotEventsData", "IoTFleetWise", "IotJobsDataPlane", "IotManagedIntegrations", "IoTSecureTunneling",
    "IoTSiteWise", "IoTThingsGraph", "IoTTwinMaker", "IotWireless", "Ivs", "Ivschat", "IvsRealTime", "Kafka",
    "KafkaConnect", "Kendra", "KendraRanking", "Keyspaces", "KeyspacesStreams", "Kinesis", "KinesisAnalytics",
    "KinesisAnalyticsV2", "KinesisVideo", "KinesisVideoArchivedMedia", "KinesisVideoMedia", "KinesisVideoSignaling",
    "KinesisVideoWebRtcStorage", "Kms", "LakeFormation", "Lambda", "LambdaCore", "LambdaMicrovms", "LaunchWizard",
    "LexModelsV2", "LexRuntimeV2", "LicenseManager", "LicenseManagerLinuxSubscriptions",
    "LicenseManagerUserSubscriptions", "Lightsail", "Location", "LookoutEquipment", "LookoutVision", "M2", "Macie2",
    "MailManager", "ManagedBlockchain", "ManagedBlockchainQuery", "MarketplaceCatalog",
    "MarketplaceCommerceAnalytics", "MarketplaceDiscovery", "MarketplaceEntitlement", "MarketplaceMetering",
    "MarketplaceReporting", "MediaConnect", "MediaConvert", "MediaLive", "MediaPackage", "MediaPackageV2",
    "MediaPackageVod", "MediaStore", "MediaTailor", "MedicalImaging", "MemoryDb", "Mgn", "MigrationHub",
    "MigrationHubConfig", "MigrationHubOrchestrator", "MigrationHubRefactorSpaces", "MigrationHubStrategy", "Mpa",
    "Mq", "MTurk", "Mwaa", "MwaaServerless", "Neptune", "NeptuneGraph", "NetworkFirewall", "NetworkFlowMonitor",
    "NetworkManager", "NetworkMonitor", "NotificationsContacts", "NovaAct", "Oam", "ObservabilityAdmin", "Odb",
    "Omics", "OpenSearch", "OpenSearchServerless", "OpsWorksCm", "Organizations", "Osis", "Outposts", "Panorama",
    "PartnerCentralAccount", "PartnerCentralBenefits", "PartnerCentralChannel", "PartnerCentralRevenueMeasurement",
    "PartnerCentralSelling", "PaymentCryptography", "PaymentCryptographyData", "PcaConnectorAd", "PcaConnectorScep",
    "Pcs", "Personalize", "PersonalizeEvents", "PersonalizeRuntime", "Pi", "Pinpoint", "PinpointEmail",
    "PinpointSmsVoice", "PinpointSmsVoiceV2", "Pipes", "Polly", "Pricing", "PrivateNetworks", "Proton", "QApps",
    "QBusiness", "QConnect", "QuickSight", "Ram", "Rbin", "Rds", "RdsData", "Redshift", "RedshiftData",
    "RedshiftServerless", "Rekognition", "Repostspace", "Resiliencehub", "Resiliencehubv2", "ResourceExplorer2",
    "ResourceGroups", "ResourceGroupsTaggingApi", "RolesAnywhere", "Route53", "Route53Domains",
    "Route53GlobalResolver", "Route53Profiles", "Route53RecoveryCluster", "Route53RecoveryControlConfig",
    "Route53RecoveryReadiness", "Route53Resolver", "RtbFabric", "Rum", "S3", "S3Control", "S3Files", "S3Outposts",
    "S3Tables", "S3Vectors", "SageMaker", "SageMakerA2IRuntime", "SageMakerFeatureStoreRuntime",
    "SageMakerGeospatial", "SagemakerJobRuntime", "SageMakerMetrics", "SageMakerRuntime", "SageMakerRuntimeHttp2",
    "Savingsplans", "Scheduler", "Schemas", "SecretsManager", "SecurityAgent", "SecurityHub", "SecurityIr",
    "SecurityLake", "ServerlessApplicationRepository", "ServiceCatalog", "ServiceCatalogAppRegistry",
    "ServiceDiscovery", "ServiceQuotas", "Ses", "SesV2", "Sfn", "Shield", "Signer", "SignerData", "Signin",
    "SimpleDbV2", "SimSpaceWeaver", "Sms", "Snowball", "SnowDeviceManagement", "Sns", "SocialMessaging", "Sqs", "Ssm",
    "SsmContacts", "SsmGuiConnect", "SsmIncidents", "SsmQuickSetup", "SsmSap", "Sso", "SsoAdmin", "SsoOidc",
    "StorageGateway", "Sts", "SupplyChain", "Support", "SupportApp", "SupportAuthz", "Sustainability", "Swf",
    "Synthetics", "TaxSettings", "Textract", "TimestreamInfluxDb", "TimestreamQuery", "TimestreamWrite", "Tnb",
    "Transcribe", "Transfer", "Translate", "TrustedAdvisor", "Uxc", "VerifiedPermissions", "VoiceId", "VpcLattice",
    "Waf", "WafRegional", "Wafv2", "WellArchitected", "Wickr", "Wisdom", "WorkDocs", "WorkMail",
    "WorkMailMessageFlow", "WorkSpaces", "WorkspacesInstances", "WorkSpacesThinClient", "WorkSpacesWeb", "XRay",
];
/// Services that have ended: AWS still accepts them in machines, but they are off the list.
const ENDED: &[&str] = &[
    "apptest",
    "elastictranscoder",
    "evidently",
    "lexmodelbuilding",
    "lexruntime",
    "lookoutmetrics",
    "opsworks",
    "qldb",
    "qldbsession",
    "robomaker",
    "worklink",
];

/// Returns what the errors of a service begin with: `DynamoDb` for `dynamodb`.
pub(crate) fn error_prefix(service: &str) -> Option<&'static str> {
    let found = PREFIXES.binary_search_by(|prefix| prefix.to_ascii_lowercase().as_str().cmp(service));
    found.ok().map(|index| PREFIXES[index])
}

/// Tells whether a service has ended.
pub(crate) fn has_ended(service: &str) -> bool {
    ENDED.contains(&service)
}

/// Returns the words of all services.
pub(crate) fn services() -> impl Iterator<Item = String> {
    PREFIXES.iter().map(|prefix| prefix.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_by_its_word() {
        assert!(PREFIXES.is_sorted_by_key(|prefix| prefix.to_ascii_lowercase()));
        assert_eq!(error_prefix("dynamodb"), Some("DynamoDb"));
        assert_eq!(error_prefix("s3"), Some("S3"));
        assert_eq!(error_prefix("DynamoDb"), None);
        assert!(services().all(|service| error_prefix(&service).is_some() && !has_ended(&service)));
    }
}
