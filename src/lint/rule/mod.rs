//! The rules, one file each.

mod arguments;
mod calls;
mod catch_success;
mod child_input;
mod compensation;
mod conditions;
mod context_path;
mod contradiction;
mod error_futile;
mod error_names;
mod error_service;
mod error_shadowed;
mod error_suffix;
mod eval_call;
mod express_repeats;
mod fixed_timestamp;
mod fragile_compensation;
mod grows_in_loop;
mod hot_poll;
mod hot_retry;
mod lambda_metadata;
mod late_guard;
mod long_retries;
mod loop_history;
mod loses_input;
mod map_concurrency;
mod map_distributed;
mod maybe_unassigned;
mod missing_on_some_way;
mod missing_path;
mod no_default;
mod no_exit;
mod no_progress;
mod no_rollback;
mod no_timeout;
mod one_target;
mod operation;
mod out_of_scope;
mod parallel_one;
mod resource_arn;
mod resource_data;
mod resource_http;
mod resource_map;
mod resource_parameters;
mod resource_sdk;
mod resource_sync;
mod resource_token;
mod retry_attempts;
mod retry_delays;
mod retry_lambda;
mod retry_repeats;
mod rollback_order;
mod same_assign;
mod same_target;
mod secret;
mod selected_and_dropped;
mod single_item;
mod split_characters;
mod time_heartbeat;
mod time_http;
mod time_limit;
mod time_max_delay;
mod type_mismatch;
mod unassigned;
mod unguarded;
mod unknown_result_member;
mod unreachable_compensation;
mod unreachable_rule;
mod unused_variable;
mod variable_scope;
mod whole_input_per_item;

use crate::asl::node::Node;
use crate::lint::finding::Confidence;
use crate::lint::finding::Finding;
use crate::lint::finding::Fix;
use crate::lint::finding::Severity;
use crate::lint::flow::Read;
use crate::lint::subject::Subject;
use crate::model::span::Span;

/// All rules, in the order of their ids.
pub const RULES: &[&Rule] = &[
    &error_futile::CATCH,
    &loses_input::RULE,
    &error_futile::CATCH_NESTED,
    &error_suffix::CATCH,
    &error_futile::CATCH_TIMEOUT,
    &error_service::CATCH,
    &error_shadowed::CATCH,
    &catch_success::RULE,
    &error_names::CATCH,
    &contradiction::RULE,
    &late_guard::RULE,
    &no_default::RULE,
    &one_target::RULE,
    &type_mismatch::RULE,
    &unguarded::RULE,
    &unreachable_rule::RULE,
    &context_path::RULE,
    &missing_on_some_way::RULE,
    &missing_path::RULE,
    &selected_and_dropped::RULE,
    &unknown_result_member::RULE,
    &fragile_compensation::RULE,
    &no_rollback::RULE,
    &rollback_order::RULE,
    &unreachable_compensation::RULE,
    &express_repeats::RULE,
    &time_limit::EXPRESS_TASK,
    &time_limit::EXPRESS_WAIT,
    &arguments::RULE,
    &split_characters::RULE,
    &eval_call::RULE,
    &single_item::RULE,
    &loop_history::POLL,
    &hot_poll::RULE,
    &hot_retry::RULE,
    &no_exit::RULE,
    &no_progress::RULE,
    &loop_history::COUNT,
    &same_target::MAP_APT,
    &loop_history::MAP,
    &map_distributed::ITEMS,
    &map_distributed::MAX_ITEMS,
    &map_concurrency::RULE,
    &map_distributed::LABEL,
    &map_distributed::WRITER,
    &map_distributed::PREFIX,
    &retry_repeats::MAP,
    &same_target::MAP,
    &map_distributed::TOLERATES_ALL,
    &child_input::PARENT,
    &operation::TIMEOUT,
    &operation::START,
    &operation::NAME,
    &operation::REDRIVE,
    &same_target::PARALLEL_APT,
    &parallel_one::RULE,
    &same_target::READS,
    &retry_repeats::PARALLEL,
    &same_target::PARALLEL,
    &grows_in_loop::RULE,
    &lambda_metadata::RULE,
    &whole_input_per_item::RULE,
    &child_input::WHOLE,
    &resource_sdk::CASE,
    &resource_data::ATTRIBUTE,
    &resource_map::ITERATOR,
    &resource_map::PARAMETERS,
    &resource_sdk::ENDED,
    &resource_http::ENDPOINT,
    &resource_http::HEADER,
    &resource_http::LIST,
    &resource_parameters::MISSING,
    &resource_arn::ACCOUNTS,
    &resource_arn::REGIONS,
    &resource_sync::NO_SYNC,
    &resource_token::NONE,
    &resource_sdk::OPTIMIZED,
    &resource_sdk::PARAMETER_CASE,
    &resource_sync::POLL,
    &resource_data::S3_BODY,
    &resource_sync::TEXT,
    &resource_token::UNUSED,
    &resource_parameters::UNKNOWN,
    &resource_sdk::SERVICE,
    &resource_arn::UNQUALIFIED,
    &retry_delays::CONSTANT,
    &retry_attempts::DATA_LIMIT,
    &retry_repeats::FIXED_NAME,
    &error_futile::RETRY,
    &retry_lambda::RULE,
    &long_retries::RULE,
    &retry_attempts::MANY,
    &error_futile::RETRY_NESTED,
    &retry_attempts::NONE,
    &error_suffix::RETRY,
    &retry_delays::JITTER,
    &error_futile::RETRY_TIMEOUT,
    &retry_repeats::TASK,
    &error_service::RETRY,
    &error_shadowed::RETRY,
    &error_names::RETRY,
    &resource_http::AUTHORIZATION,
    &secret::ENTROPY,
    &secret::KEPT,
    &secret::LITERAL,
    &secret::NAMED,
    &fixed_timestamp::RULE,
    &time_heartbeat::RULE,
    &time_http::RULE,
    &time_max_delay::RULE,
    &no_timeout::RULE,
    &time_limit::RETRIES,
    &time_limit::TASK,
    &time_limit::WAIT,
    &maybe_unassigned::RULE,
    &out_of_scope::RULE,
    &same_assign::RULE,
    &unassigned::RULE,
    &unused_variable::RULE,
];

/// A rule: what `stepfn explain` says of it, and how it looks.
#[derive(Debug)]
pub struct Rule {
    /// Its stable name, `time/no-timeout`.
    pub id: &'static str,
    /// How bad a finding is.
    pub severity: Severity,
    /// How sure a finding is.
    pub confidence: Confidence,
    /// What it finds, in one line without a stop at its end.
    pub summary: &'static str,
    /// Why it matters and what to do: a few sentences.
    pub explanation: &'static str,
    /// Definitions that show it: each `bad` one gives exactly one finding of the rule, each `good` one none.
    pub examples: &'static [Example],
    pub(crate) check: fn(&Subject<'_>, &mut Reporter<'_>),
}

/// A definition with the defect and the same without it.
#[derive(Debug)]
pub struct Example {
    /// With the defect. JSON.
    pub bad: &'static str,
    /// Without it. JSON.
    pub good: &'static str,
    /// Where the finding stands: `/States/A`.
    pub location: &'static str,
}

/// Returns the rule of that id.
pub fn named(id: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.id == id)
}

/// Takes a rule's findings.
pub(crate) struct Reporter<'f> {
    rule: &'static Rule,
    findings: &'f mut Vec<Finding>,
}

impl<'f> Reporter<'f> {
    pub(crate) fn new(rule: &'static Rule, findings: &'f mut Vec<Finding>) -> Self {
        Self { rule, findings }
    }

    /// Reports a finding at the place that reads something.
    pub(crate) fn report_read(
        &mut self,
        subject: &Subject<'_>,
        read: &Read,
        message: impl Into<String>,
    ) -> Reported<'_> {
        let written = subject.written(read.state);
        let location = format!("{}{}", written.location, read.place);
        self.report(written.node.follow(&read.place), location, message)
    }

    /// Reports a finding at a place of the text. Returns it for what not every finding has.
    pub(crate) fn report(
        &mut self,
        node: &Node,
        location: impl Into<String>,
        message: impl Into<String>,
    ) -> Reported<'_> {
        self.report_at(node.span, location, message)
    }

    /// Reports a finding at a place of the text that is no value, such as a key.
    pub(crate) fn report_at(
        &mut self,
        span: Span,
        location: impl Into<String>,
        message: impl Into<String>,
    ) -> Reported<'_> {
        self.findings.push(Finding {
            rule: self.rule.id,
            severity: self.rule.severity,
            confidence: self.rule.confidence,
            message: message.into(),
            hint: None,
            location: Some(location.into()),
            span: Some(span),
            fix: None,
        });
        Reported(self.findings.last_mut())
    }
}

/// A finding that was just reported.
pub(crate) struct Reported<'f>(Option<&'f mut Finding>);

impl Reported<'_> {
    /// Says what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(finding) = &mut self.0 {
            finding.hint = Some(hint.into());
        }
        self
    }

    /// Gives this one finding another severity than the rule's.
    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        if let Some(finding) = &mut self.0 {
            finding.severity = severity;
        }
        self
    }

    /// Says how to mend it mechanically.
    pub(crate) fn fix(mut self, fix: Fix) -> Self {
        if let Some(finding) = &mut self.0 {
            finding.fix = Some(fix);
        }
        self
    }
}

#[cfg(test)]
mod tests;
