//! Features of the API that are asked for by name in the `anthropic-beta` header.
//!
//! A client of this dialect names them itself. One of another dialect reaches them through fields that pass as they
//! are, and knows no header. A name whose feature has left its beta since does no harm.

use gatewright_core::Json;
use memchr::memmem;

/// A top-level field, what it holds where the feature is used (`""` is anything), and the names to ask for.
const FEATURES: &[(&str, &str, &[&str])] = &[
    ("context_management", "\"clear_", &["context-management-2025-06-27"]),
    ("context_management", "\"compact_", &["compact-2026-01-12"]),
    ("container", "\"skills\"", &["code-execution-2025-08-25", "skills-2025-10-02"]),
    ("speed", "\"fast\"", &["fast-mode-2026-02-01"]),
    ("diagnostics", "", &["cache-diagnosis-2026-04-07"]),
    ("output_config", "\"task_budget\"", &["task-budgets-2026-03-13"]),
    ("tools", "\"mcp_toolset\"", &["mcp-client-2025-11-20"]),
    ("tools", "\"computer_20251124\"", &["computer-use-2025-11-24"]),
    ("tools", "\"computer_20250124\"", &["computer-use-2025-01-24"]),
    ("tools", "\"advisor_20260301\"", &["advisor-tool-2026-03-01"]),
    ("messages", "\"file_id\"", &["files-api-2025-04-14"]),
];

/// The names that a request needs.
pub(super) fn needed(body: &Json) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for key in body.keys() {
        let raw = || body.raw(&key).filter(|raw| *raw != b"null");
        let about = FEATURES.iter().filter(|(field, ..)| *field == key);
        let used = about
            .filter(|(_, word, _)| raw().is_some_and(|raw| memmem::find(raw, word.as_bytes()).is_some()));
        names.extend(used.flat_map(|(_, _, names)| *names));
    }
    // Servers without a toolset are named in the older way.
    if body.has("mcp_servers") && !names.contains(&"mcp-client-2025-11-20") {
        names.push("mcp-client-2025-04-04");
    }
    names
}
