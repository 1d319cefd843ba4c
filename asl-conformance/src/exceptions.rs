//! Recorded cases that cannot pass, each with its reason.

/// One line each: `family/id: reason`.
const LIST: &str = include_str!("../exceptions.txt");

/// Returns why a case cannot pass, if it is on the list.
pub fn reason(name: &str) -> Option<&'static str> {
    let lines = LIST.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(": "))
        .find(|(listed, _)| *listed == name)
        .map(|(_, reason)| reason)
}
