//! `/metrics`: what a monitoring system asks for every few seconds.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::api::Api;
use crate::model::execution_record::ExecutionStatus;

/// The content type of `Api::metrics`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Api {
    /// Returns all numbers in Prometheus's text format (its standard form, OpenMetrics).
    pub fn metrics(&self) -> String {
        let measures = &self.host.measures;
        let mut registry = Registry::with_prefix("stepfn");
        registry.register("transitions", "Steps of executions", measures.transitions.clone());
        registry.register("executions_started", "Executions that began", measures.started.clone());
        registry.register(
            "commit_seconds",
            "From giving a batch to the store until it is safe",
            measures.commit_seconds.clone(),
        );
        registry.register("connections", "Connections that are open", self.n_connections.clone());
        let gauge = |n: usize| ConstGauge::new(i64::try_from(n).unwrap_or(i64::MAX));
        registry.register(
            "executions_in_memory",
            "Open executions that are held in memory",
            gauge(self.host.n_live()),
        );
        registry.register(
            "timers_in_memory",
            "Deadlines of the next minutes",
            gauge(self.host.n_timers()),
        );
        registry.register(
            "activity_tasks_waiting",
            "Activity tasks that no worker has taken",
            gauge(self.host.n_waiting_activities()),
        );
        registry.register(
            "activity_workers_waiting",
            "Workers that wait for a task of an activity",
            gauge(self.host.n_pollers()),
        );
        registry.register(
            "store_batches_queued",
            "Batches that wait for the store",
            gauge(self.host.store().n_queued()),
        );
        registry.register_collector(Box::new(Ends(measures.ended.each_ref().map(|n| n.get()))));
        let mut text = String::new();
        encode(&mut text, &registry).expect("a text takes all that is written");
        text
    }
}

/// Executions that ended, in the order of `ExecutionStatus::ALL`.
#[derive(Debug)]
struct Ends([u64; ExecutionStatus::ALL.len()]);

impl Collector for Ends {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut family =
            encoder.encode_descriptor("executions_ended", "Executions that ended", None, MetricType::Counter)?;
        for (status, n) in ExecutionStatus::ALL.iter().zip(self.0) {
            let is_end = !matches!(status, ExecutionStatus::Running | ExecutionStatus::PendingRedrive);
            if is_end {
                ConstCounter::new(n).encode(family.encode_family(&[("status", status.as_str())])?)?;
            }
        }
        Ok(())
    }
}
