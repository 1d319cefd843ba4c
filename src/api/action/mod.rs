//! One file for each operation of the API, and the table that lists them.

mod create_activity;
mod create_state_machine;
mod create_state_machine_alias;
mod delete_activity;
mod delete_state_machine;
mod delete_state_machine_alias;
mod delete_state_machine_version;
mod describe_activity;
mod describe_execution;
mod describe_map_run;
mod describe_state_machine;
mod describe_state_machine_alias;
mod describe_state_machine_for_execution;
mod get_activity_task;
mod get_execution_history;
mod list_activities;
mod list_executions;
mod list_map_runs;
mod list_state_machine_aliases;
mod list_state_machine_versions;
mod list_state_machines;
mod list_tags_for_resource;
mod publish_state_machine_version;
mod redrive_execution;
mod send_task_failure;
mod send_task_heartbeat;
mod send_task_success;
mod start_execution;
mod start_sync_execution;
mod stop_execution;
mod tag_resource;
mod test_state;
mod untag_resource;
mod update_map_run;
mod update_state_machine;
mod update_state_machine_alias;
mod validate_state_machine_definition;

use std::future::Future;
use std::pin::Pin;

use crate::api::Api;
use crate::api::error::Answer;
use crate::api::member::Member;
use crate::api::request::Request;
use crate::identity::permission::Permission;
use crate::model::glob;

/// One operation.
pub struct Action {
    /// Its name.
    pub name: &'static str,
    /// What it needs.
    pub permission: Permission,
    /// What its request holds.
    pub input: &'static [Member],
    /// Carries it out. The request was checked against `input`.
    pub call: for<'a> fn(&'a Api, Request) -> Answering<'a>,
}

/// An operation being carried out.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// All operations, by name.
pub const ACTIONS: &[Action] = &[
    create_activity::ACTION,
    create_state_machine::ACTION,
    create_state_machine_alias::ACTION,
    delete_activity::ACTION,
    delete_state_machine::ACTION,
    delete_state_machine_alias::ACTION,
    delete_state_machine_version::ACTION,
    describe_activity::ACTION,
    describe_execution::ACTION,
    describe_map_run::ACTION,
    describe_state_machine::ACTION,
    describe_state_machine_alias::ACTION,
    describe_state_machine_for_execution::ACTION,
    get_activity_task::ACTION,
    get_execution_history::ACTION,
    list_activities::ACTION,
    list_executions::ACTION,
    list_map_runs::ACTION,
    list_state_machine_aliases::ACTION,
    list_state_machine_versions::ACTION,
    list_state_machines::ACTION,
    list_tags_for_resource::ACTION,
    publish_state_machine_version::ACTION,
    redrive_execution::ACTION,
    send_task_failure::ACTION,
    send_task_heartbeat::ACTION,
    send_task_success::ACTION,
    start_execution::ACTION,
    start_sync_execution::ACTION,
    stop_execution::ACTION,
    tag_resource::ACTION,
    test_state::ACTION,
    untag_resource::ACTION,
    update_map_run::ACTION,
    update_state_machine::ACTION,
    update_state_machine_alias::ACTION,
    validate_state_machine_definition::ACTION,
];

/// Finds an operation.
pub fn find(name: &str) -> Option<&'static Action> {
    ACTIONS
        .binary_search_by(|action| action.name.cmp(name))
        .ok()
        .map(|index| &ACTIONS[index])
}

/// Tells whether there is an operation whose name matches a pattern.
pub fn is_operation(pattern: &str) -> bool {
    ACTIONS.iter().any(|action| glob::matches(pattern, action.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(ACTIONS.is_sorted_by(|one, next| one.name < next.name));
    }
}
