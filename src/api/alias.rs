//! Aliases: their ARNs, where they lead, and changing them.

use std::sync::Arc;

use serde_json::Value;

use crate::api::Api;
use crate::api::error::ApiError;
use crate::api::machine;
use crate::api::member::Member;
use crate::api::member::Shape;
use crate::api::request::Request;
use crate::api::shapes;
use crate::engine::machine::Alias;
use crate::engine::machine::Route;
use crate::engine::machine::StateMachine;
use crate::engine::registry::Registry;
use crate::model::arn::Resource;

/// Aliases of one machine, at most.
pub const ALIASES_MAX: usize = 100;

/// An alias's name: with a character that tells it from a version's number.
pub const NAME: Shape = Shape::Word {
    min: 1,
    max: 80,
    pattern: r"^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$",
    fits: |name| {
        let is_mark = |c: char| c.is_ascii_alphabetic() || "_-.".contains(c);
        name.contains(is_mark) && name.chars().all(|c| is_mark(c) || c.is_ascii_digit())
    },
};

/// `routingConfiguration`.
pub const ROUTES: Shape = Shape::List {
    min: 1,
    max: 2,
    item: &Shape::Object {
        name: "RoutingConfigurationListItem",
        members: &[
            Member::required("stateMachineVersionArn", shapes::ARN),
            Member::required("weight", Shape::Int { min: 0, max: 100 }),
        ],
    },
};

/// Reads an alias's ARN: the machine's and the alias's name.
///
/// # Errors
/// `InvalidArn`; `ValidationException` for a labelled ARN.
pub fn parse(arn: &str) -> Result<(String, Arc<str>), ApiError> {
    let parsed = machine::parse(arn)?;
    match (parsed.machine_arn(), &parsed.resource) {
        (Some(machine_arn), Resource::Qualified { qualifier, .. }) => Ok((machine_arn, qualifier.clone())),
        _ => Err(parsed.unfit().into()),
    }
}

/// `ResourceNotFound` of an alias or a version.
pub fn not_found() -> ApiError {
    ApiError::new("ResourceNotFound", "Request references a resource that does not exist.")
}

/// Finds an alias.
///
/// # Errors
/// `InvalidArn`, `ResourceNotFound`.
pub fn find(registry: &Registry, arn: &str) -> Result<(Arc<StateMachine>, Arc<str>, Alias), ApiError> {
    let (machine_arn, name) = parse(arn)?;
    let machine = registry.machine(&machine_arn).ok_or_else(not_found)?;
    let alias = machine.aliases.get(&*name).cloned().ok_or_else(not_found)?;
    Ok((machine, name, alias))
}

/// Returns a request's routes; `None` when it has none. Their ARNs are only checked for themselves.
///
/// # Errors
/// `ValidationException`, `InvalidArn`.
pub fn routes(request: &Request) -> Result<Option<Vec<Route>>, ApiError> {
    let Some(items) = request.get("routingConfiguration").and_then(Value::as_array) else {
        return Ok(None);
    };
    let route = |item: &Value| Route {
        version_arn: item
            .get("stateMachineVersionArn")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .into(),
        weight: item
            .get("weight")
            .and_then(Value::as_u64)
            .and_then(|weight| weight.try_into().ok())
            .unwrap_or(0),
    };
    let routes: Vec<Route> = items.iter().map(route).collect();
    let arns: Vec<&str> = routes.iter().map(|route| &*route.version_arn).collect();
    let shown = arns.join(", ");
    if let [one, other] = arns.as_slice()
        && one == other
    {
        return Err(invalid(format!(
            "Routing configuration must contain distinct state machine version ARNs. Received: [{shown}]"
        )));
    }
    let mut machines = Vec::new();
    for arn in &arns {
        machine::parse(arn)?;
        match machine::parse_version(arn) {
            Ok((machine_arn, _)) => machines.push(machine_arn),
            Err(_) => {
                return Err(invalid(format!(
                    "Routing configuration must contain state machine version ARNs. Received: [{shown}]"
                )));
            }
        }
    }
    if machines.iter().any(|machine| *machine != machines[0]) {
        return Err(invalid(format!(
            "Routing configuration must contain versions of one state machine. Received: [{shown}]"
        )));
    }
    let weights: Vec<u32> = routes.iter().map(|route| route.weight).collect();
    if weights.iter().sum::<u32>() != 100 {
        return Err(invalid(format!(
            "Sum of routing configuration weights must equal 100. Received: {weights:?}"
        )));
    }
    Ok(Some(routes))
}

/// Finds the machine that routes lead to, and sees that it has the versions.
///
/// # Errors
/// `ResourceNotFound`, `StateMachineDeleting`.
pub fn machine_of(registry: &Registry, routes: &[Route]) -> Result<Arc<StateMachine>, ApiError> {
    let mut found = None;
    for route in routes {
        let (machine_arn, number) = machine::parse_version(&route.version_arn)?;
        let machine = registry.machine(&machine_arn).ok_or_else(not_found)?;
        if machine.is_deleting {
            return Err(machine::deleting(&machine.arn));
        }
        machine.version(number).ok_or_else(not_found)?;
        found = Some(machine);
    }
    found.ok_or_else(not_found)
}

fn invalid(message: String) -> ApiError {
    ApiError::validation(message).with("reason", "INVALID_ROUTING_CONFIGURATION")
}

impl Api {
    /// Finds an alias.
    ///
    /// # Errors
    /// `InvalidArn`, `ResourceNotFound`.
    pub fn alias(&self, arn: &str) -> Result<(Arc<str>, Alias), ApiError> {
        find(&self.host.registry, arn).map(|(_, name, alias)| (name, alias))
    }
}
