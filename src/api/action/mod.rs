//! One file for each operation of the API, and the table that lists them.

mod create_state_machine;
mod describe_execution;
mod describe_state_machine;
mod get_execution_history;
mod list_executions;
mod start_execution;
mod start_sync_execution;
mod stop_execution;

use std::future::Future;
use std::pin::Pin;

use crate::api::Api;
use crate::api::error::Answer;
use crate::api::member::Member;
use crate::api::request::Request;

/// One operation.
pub struct Action {
    /// Its name.
    pub name: &'static str,
    /// What its request holds.
    pub input: &'static [Member],
    /// Carries it out. The request was checked against `input`.
    pub call: for<'a> fn(&'a Api, Request) -> Answering<'a>,
}

/// An operation being carried out.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// All operations, by name.
pub const ACTIONS: &[Action] = &[
    create_state_machine::ACTION,
    describe_execution::ACTION,
    describe_state_machine::ACTION,
    get_execution_history::ACTION,
    list_executions::ACTION,
    start_execution::ACTION,
    start_sync_execution::ACTION,
    stop_execution::ACTION,
];

/// Finds an operation.
pub fn find(name: &str) -> Option<&'static Action> {
    ACTIONS
        .binary_search_by(|action| action.name.cmp(name))
        .ok()
        .map(|index| &ACTIONS[index])
}
