//! Does the tasks that call functions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::model::payload::Payload;
use crate::model::states_error::StatesError;
use crate::worker::Cancel;
use crate::worker::Job;
use crate::worker::Reports;
use crate::worker::lambda::answer;
use crate::worker::lambda::answer::Answer;
use crate::worker::lambda::endpoint;
use crate::worker::lambda::endpoint::LambdaEndpoint;
use crate::worker::lambda::function::Function;
use crate::worker::lambda::function::FunctionName;
use crate::worker::lambda::function::Functions;
use crate::worker::lambda::function::ProcessFunction;
use crate::worker::lambda::pool::Pool;
use crate::worker::lambda::request;
use crate::worker::lambda::request::InvocationType;
use crate::worker::lambda::request::Request;
use crate::worker::nursery::Nursery;

/// The functions of a run, and their processes.
#[derive(Default)]
pub struct Lambdas {
    functions: Functions,
    /// Where functions are called that the table does not name.
    endpoint: Option<LambdaEndpoint>,
    /// By key, version (a process knows its own) and account.
    pools: Mutex<BTreeMap<(String, String, String), Arc<Pool>>>,
}

impl Lambdas {
    /// Takes the functions of a table; all others are behind `endpoint`, if there is one.
    pub fn new(functions: Functions, endpoint: Option<LambdaEndpoint>) -> Self {
        Self {
            functions,
            endpoint,
            pools: Mutex::default(),
        }
    }

    /// The processes of one account do nothing for another.
    fn pool(
        &self,
        key: &str,
        name: &FunctionName,
        function: &ProcessFunction,
        nursery: &Arc<Nursery>,
        user: String,
    ) -> Arc<Pool> {
        let key = (key.to_owned(), name.executed_version().to_owned(), user);
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Pool::new(function.clone(), Arc::clone(nursery)));
        Arc::clone(pools.entry(key).or_insert_with(new))
    }

    /// Stops all processes that wait for work.
    pub async fn close(&self) {
        let pools: Vec<_> = {
            let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.values().map(Arc::clone).collect()
        };
        for pool in pools {
            pool.close().await;
        }
    }
}

/// Tells whether the task calls a function, and functions are here, as handlers or as mapped commands. Then this machine
/// is all there is of Lambda: one that it does not know, does not exist.
pub fn matches(job: &Job) -> bool {
    let lambdas = &job.site.lambdas;
    request::is_call(job)
        && (lambdas.endpoint.is_some() || !lambdas.functions.is_empty() || job.site.mappings.have_functions())
}

/// Calls the function.
pub async fn carry_out(job: &Job, reports: &Reports, cancel: &mut Cancel) -> Result<Payload, StatesError> {
    let request = Request::read(job)?;
    let lambdas = &job.site.lambdas;
    let found = lambdas.functions.find(&request.name);
    let answer = match (found, &lambdas.endpoint) {
        (Some((key, Function::Process(function))), _) => {
            let nursery = &job.site.nursery;
            let whom = nursery.whom(reports.claim()).await.map_err(|why| {
                reports.refused(&why);
                StatesError::default()
            })?;
            let pool = lambdas.pool(key, &request.name, function, nursery, whom.user);
            in_process(&pool, request, reports, cancel).await?
        }
        (Some((_, Function::Endpoint(endpoint))), _) | (None, Some(endpoint)) => {
            endpoint::invoke(job, endpoint, &request, cancel).await?
        }
        (None, None) => return Err(not_found(&request.name, reports)),
    };
    answer.into_result(job)
}

async fn in_process(
    pool: &Arc<Pool>,
    request: Request,
    reports: &Reports,
    cancel: &mut Cancel,
) -> Result<Answer, StatesError> {
    let status = match request.invocation_type {
        InvocationType::RequestResponse => {
            return pool
                .invoke(Arc::new(request), Some(reports.clone()), cancel.cancelled())
                .await;
        }
        InvocationType::DryRun => 204,
        InvocationType::Event => {
            let (pool, reports) = (Arc::clone(pool), reports.clone());
            tokio::spawn(async move {
                let invoked = pool
                    .invoke(Arc::new(request), Some(reports.clone()), std::future::pending())
                    .await;
                let failure = match invoked {
                    Ok(answer) if answer.is_function_error => String::from_utf8_lossy(&answer.body).into_owned(),
                    Ok(_) => return,
                    Err(error) => error.cause.unwrap_or_default(),
                };
                reports.log(format!("The function that nobody waited for failed: {failure}"));
            });
            202
        }
    };
    Ok(Answer::without_result(status))
}

fn not_found(name: &FunctionName, reports: &Reports) -> StatesError {
    let qualifier = name.qualifier.as_deref().unwrap_or("$LATEST");
    reports.log(format!(
        "The mapping file has no function `{0}`: add a table [lambda.{0:?}] to it.",
        name.name
    ));
    answer::refusal(
        "ResourceNotFoundException",
        "ResourceNotFoundException",
        404,
        &format!("Function not found: {}:{qualifier}", name.arn),
    )
}
