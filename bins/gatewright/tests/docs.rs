//! The documentation says what is true: its examples load, its tables are the code's, its paths exist.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot read the documentation has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};

use gatewright::config::{Config, Said};
use gatewright_admin::{Form, Place, ROUTES, Standing, TABLES, Writer};
use gatewright_catalogue::{Auth, Catalogue, ProviderRow};
use gatewright_core::{Dialect, ErrorKind, Operation};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|err| panic!("{name}: {err}"))
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(fence.as_str())
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_configuration_in_the_documentation_loads_without_a_problem() {
    let env = |name: &str| match name {
        "SMTP_HOST" => Some("127.0.0.1".to_owned()),
        "SMTP_SENDER_EMAIL" => Some("gateway@example.com".to_owned()),
        "SLACK_WEBHOOK_URL" | "FINANCE_WEBHOOK" => Some("https://hooks.example.com/of".to_owned()),
        _ => name.ends_with("_KEY").then(|| format!("sk-value-of-{name}")),
    };
    let mut seen = 0;
    for name in ["README.md", "docs/configuration.md", "docs/providers.md"] {
        for text in blocks(&page(name), "yaml") {
            let config = Config::load(&Said { text: Some(&text), ..Said::default() }, &env);
            let told: Vec<String> = config.problems.iter().map(ToString::to_string).collect();
            let serves = !config.deployments.is_empty() || !text.contains("model_list:");
            assert!(told.is_empty() && serves, "{name}: {told:?}");
            seen += 1;
        }
    }
    let example = root().join("config/example.yaml");
    let config = Config::load(&Said { file: Some(&example), ..Said::default() }, &env);
    assert!(config.problems.is_empty(), "{:?}", config.problems.iter().collect::<Vec<_>>());
    assert!(seen >= 2, "the examples were not found");
}

#[test]
fn paths_in_the_life_of_a_call_exist() {
    let text = page("docs/life-of-a-call.md");
    let paths: Vec<&str> =
        text.split('`').filter(|word| word.starts_with("crates/") || word.starts_with("bins/")).collect();
    assert!(paths.len() > 10);
    for path in paths {
        assert!(root().join(path).exists(), "{path}");
    }
}

#[test]
fn the_table_of_errors_is_the_codes() {
    let rows: Vec<String> = ErrorKind::ALL
        .iter()
        .map(|kind| {
            format!(
                "| {kind:?} | {} | `{}` | `{}` | {:?} | {:?} |",
                kind.status().as_u16(),
                kind.openai_type(),
                kind.anthropic_type(),
                kind.retry(),
                kind.cooldown()
            )
        })
        .collect();
    check_table("docs/errors.md", "", &rows);
}

/// What is asked for, and the words that the model table has for models of that kind.
const OPERATIONS: [(&str, &[&str], Operation); 9] = [
    ("chat", &["chat", "responses"], Operation::Chat),
    ("text", &["completion"], Operation::Chat),
    ("embeddings", &["embedding"], Operation::Embeddings),
    ("rerank", &["rerank"], Operation::Rerank),
    ("moderations", &["moderation"], Operation::Moderations),
    ("images", &["image_generation"], Operation::ImageGenerations),
    ("image edits", &["image_edit"], Operation::ImageEdits),
    ("speech", &["audio_speech"], Operation::Speech),
    ("transcriptions", &["audio_transcription"], Operation::Transcriptions),
];

/// What a chat model may be able to do, and the table's word for it.
const FEATURES: [(&str, &str); 7] = [
    ("tools", "function_calling"),
    ("vision", "vision"),
    ("documents", "pdf_input"),
    ("audio", "audio_input"),
    ("schemas", "response_schema"),
    ("reasoning", "reasoning"),
    ("cache", "prompt_caching"),
];

#[test]
fn the_table_of_operations_is_the_catalogues() {
    let catalogue = Catalogue::builtin();
    let listed: Vec<String> = catalogue
        .providers()
        .iter()
        .filter(|row| OPERATIONS.iter().any(|(_, modes, _)| !models(row, modes).is_empty()))
        .map(|row| {
            let asked = OPERATIONS.iter().filter(|(_, _, operation)| asks(row, *operation));
            let operations = counts(asked.map(|(name, modes, _)| (*name, models(row, modes).len())));
            let chats = models(row, OPERATIONS[0].1);
            let able = |word| chats.iter().filter(|name| supports(row, name, word)).count();
            let features = counts(FEATURES.iter().map(|(name, word)| (*name, able(word))));
            format!("| `{}` | {operations} | {features} |", row.id)
        })
        .collect();
    check_table("docs/providers.md", "## What each can be asked for", &listed);
}

fn models(row: &ProviderRow, modes: &[&str]) -> Vec<String> {
    modes.iter().flat_map(|mode| Catalogue::builtin().models_of(&row.id, mode)).collect()
}

/// Whether one of the row's dialects has the operation.
fn asks(row: &ProviderRow, operation: Operation) -> bool {
    let mut spoken = [row.dialect].into_iter().chain(row.also.iter().map(|also| also.dialect));
    spoken.any(|dialect| gatewright_dialects::of(dialect).path(operation, "m", false).is_some())
}

fn supports(row: &ProviderRow, model: &str, word: &str) -> bool {
    let known = Catalogue::builtin().model(&row.id, model);
    known.and_then(|model| model.supports(word)).unwrap_or(false)
}

fn counts<'a>(list: impl Iterator<Item = (&'a str, usize)>) -> String {
    let some = list.filter(|(_, count)| *count > 0);
    some.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_table_of_providers_is_the_catalogues() {
    let rows: Vec<String> = Catalogue::builtin()
        .providers()
        .iter()
        .map(|row| {
            let spoken = [row.dialect].into_iter().chain(row.also.iter().map(|also| also.dialect));
            let dialect = spoken.map(Dialect::name).collect::<Vec<_>>().join(", ");
            let auth = match &row.auth {
                Auth::Bearer => "bearer",
                Auth::Header(name) | Auth::Query(name) => name,
                Auth::Google => "Google account",
                Auth::Aws(_) => "AWS (SigV4), or bearer",
            };
            let keys = row.key_env.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            let base = row.base_url.as_deref().unwrap_or("`api_base`");
            format!("| `{}` | {} | {dialect} | {base} | {auth} | {keys} |", row.id, row.name)
        })
        .collect();
    check_table("docs/providers.md", "", &rows);
}

#[test]
fn the_tables_of_management_are_the_codes() {
    check_table("docs/management.md", "## Who may call what", &management_routes());
    check_table("docs/management.md", "## Fields", &management_fields());
}

fn management_routes() -> Vec<String> {
    ROUTES
        .iter()
        .map(|route| {
            let cells: Vec<&str> = Standing::ALL
                .into_iter()
                .map(|standing| match (standing, route.access.is_open_to(standing)) {
                    (_, false) => "",
                    (Standing::ProxyAdmin | Standing::ProxyAdminViewer, true) => "all",
                    (_, true) => "own",
                })
                .collect();
            format!("| `{} {}` | {} |", route.method, route.path, cells.join(" | "))
        })
        .collect()
}

fn management_fields() -> Vec<String> {
    let fields = TABLES.iter().flat_map(|table| table.fields.iter().map(move |field| (table.word, field)));
    let written = fields.filter(|(_, field)| field.writer != Writer::Nobody);
    written
        .map(|(kind, field)| {
            let form = match field.form {
                Form::Text => "text",
                Form::Texts => "list",
                Form::Map => "map",
                Form::Maps => "maps",
                Form::Dollars => "dollars",
                Form::Count => "count",
                Form::Flag => "flag",
                Form::Span => "span",
                Form::Moment => "moment",
                Form::Any => "anything",
            };
            let inside = if field.place == Place::Metadata { ", in `metadata`" } else { "" };
            let by =
                if field.writer == Writer::Administrator { "proxy_admin" } else { "whoever may write it" };
            format!("| {kind} | `{}` | {form}{inside} | {by} |", field.name)
        })
        .collect()
}

/// The rows between the rule of the first table behind a heading and the next blank line; `UPDATE_DOCS=1` writes them.
fn check_table(name: &str, heading: &str, rows: &[String]) {
    let text = page(name);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.iter().position(|line| heading.is_empty() || *line == heading).expect("the heading");
    let rule = lines[from..].iter().position(|line| line.starts_with("|---")).expect("a table") + from;
    let end = lines[rule..].iter().position(|line| line.is_empty()).map_or(lines.len(), |n| rule + n);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let new =
            [&lines[..=rule], &rows.iter().map(String::as_str).collect::<Vec<_>>(), &lines[end..]].concat();
        fs::write(root().join(name), new.join("\n") + "\n").expect("the page can be written");
        return;
    }
    assert_eq!(lines[rule + 1..end].to_vec(), rows, "{name} is out of date: run the test with UPDATE_DOCS=1");
}
