//! stepfn runs Amazon States Language definitions on a Debian machine.
//!
//! Floors, imports point downwards only:
//!
//! | floor | room | what it holds |
//! |---|---|---|
//! | 0 | `model` | ids, time, payloads, error pairs, history events, quotas |
//! | 1 | `query` | JSONPath, JSONata, payload templates, intrinsic functions |
//! | 2 | `asl` | text to `Definition`: parse, compile, diagnostics |
//! | 3 | `diff` | what two definitions say differently |
//! | 3 | `graph` | pictures of definitions: SVG, PNG, Mermaid, DOT |
//! | 3 | `kernel` | events in, commands and history out |
//! | 4 | `sim` | drives the kernel on virtual time with scripted answers |
//! | 4 | `lint` | rules on top of what AWS refuses |
//! | 4 | `template` | state machine definitions inside templates of CloudFormation, SAM, CDK, Terraform, Serverless Framework |
//! | 4 | `suite` | tests of state machines: cases, mocks, expectations, coverage |
//! | 4 | `explore` | finds inputs and answers of tasks that lead a machine astray |
//! | 4 | `items` | what a Distributed Map reads and writes: item readers, result writer, buckets |
//! | 4 | `identity` | who asks, what they may do, tokens in their name |
//! | 4 | `secret` | secrets: their sources, and what keeps them out of all that is written |
//! | 4 | `audit` | who did what: the log that people read and programs verify |
//! | 5 | `worker` | carries out tasks: mappings, Lambda functions, the actions of this machine |
//! | 6 | `engine` | drives the kernel on real time with real workers |
//! | 7 | `api` | the Step Functions API over HTTP |
//! | 8 | `cli` | one file per command |
//!
//! To add an intrinsic function go to `query::intrinsic`, a state field to `asl`, a task type to
//! `worker`, an action of this machine to `worker::action`, a format of items to `items::format`, a format of
//! pictures to `graph`, a kind of template to `template`, a command to `cli`.

pub mod asl;
pub mod diff;
pub mod graph;
pub mod kernel;
pub mod lint;
pub mod model;
pub mod query;
pub mod sim;
pub mod template;

#[cfg(feature = "runtime")]
pub mod api;
#[cfg(feature = "runtime")]
pub mod audit;
#[cfg(feature = "runtime")]
pub mod cli;
#[cfg(feature = "runtime")]
pub mod engine;
#[cfg(feature = "runtime")]
pub mod explore;
#[cfg(feature = "runtime")]
pub mod identity;
#[cfg(feature = "runtime")]
pub mod items;
#[cfg(feature = "runtime")]
pub mod secret;
#[cfg(feature = "runtime")]
pub mod store;
#[cfg(feature = "runtime")]
pub mod suite;
#[cfg(feature = "runtime")]
pub mod worker;
