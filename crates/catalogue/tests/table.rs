//! The shipped table and how it is made.

use gatewright_catalogue::table::{FORMAT, Table};
use gatewright_catalogue::{Catalogue, Entry, source};

/// Lines of a facts file: one that has whatever a line may have, one with prices alone, one with nothing.
const FACTS: &str = r#"
{"model":"zed/large","provider":"zed","mode":"chat","limits":{"max_input_tokens":1000.0,"max_output_tokens":64},"prices":{"output_cost_per_token":1e-05,"input_cost_per_token":2.5e-06,"search_context_cost_per_query":{"search_context_size_low":0.01},"tiered_pricing":[{"range":[0,128000],"input_cost_per_token":1e-06}]},"supports":["vision"],"supports_not":["reasoning"],"supported_endpoints":["/v1/chat/completions"],"supported_modalities":["text","image"],"supported_output_modalities":["text"],"deprecation_date":"2027-01-31"}
{"model":"bare","provider":"acme"}
{"model":"ada","provider":"acme","mode":"embedding","prices":{"input_cost_per_token":1e-07,"output_cost_per_token":0.0}}
"#;

const TABLE: &str = "gatewright models 1
providers acme zed
modes embedding chat
fields input_cost_per_token output_cost_per_token search_context_cost_per_query.search_context_size_low
flags vision reasoning
endpoints /v1/chat/completions
modalities text image
ada\t0\t0\t\t01i10a
bare\t0
zed/large\t1\t1\t1000,64\t025i11k21n\t0\t1\t0\t01\t0\t2027-01-31\t{\"tiered_pricing\":[{\"range\":[0,128000],\"input_cost_per_token\":1e-6}]}";

/// The lines above the models.
const HEAD_LINES: usize = 7;

fn made(facts: &str) -> Result<String, String> {
    source::table(source::facts(facts)?)
}

#[test]
fn facts_give_one_table_whatever_their_order() {
    assert_eq!(made(FACTS).unwrap(), TABLE);
    let turned: Vec<&str> = FACTS.lines().rev().collect();
    assert_eq!(made(&turned.join("\n")).unwrap(), TABLE);
}

#[test]
fn the_shipped_table_reads_whole_and_is_written_the_same_again() {
    let text = include_str!("../data/models.txt");
    let table = Table::new(text).unwrap();
    let entries: Vec<Entry> = table.rows().map(|row| Entry::from(&row)).collect();
    let lines = text.lines().count() - HEAD_LINES;
    assert_eq!((entries.len(), Catalogue::builtin().count()), (lines, lines));
    assert!(source::table(entries).unwrap() == text, "write it anew with `make catalogue`");
    assert_eq!(text.lines().next(), Some(FORMAT));
}

#[test]
fn facts_that_are_none_are_told_with_their_line() {
    for (facts, told) in [
        ("{\"model\":\"a\",\"provider\":\"b\"}\n{", "line 2"),
        (r#"{"model":"a","provider":"b","prices":{"input_cost_per_token":-1e-6}}"#, "input_cost_per_token"),
        (r#"{"model":"a","provider":"b","prices":{"input_cost_per_token":true}}"#, "input_cost_per_token"),
        ("{\"model\":\"a\",\"provider\":\"b\"}\n{\"model\":\"a\",\"provider\":\"b\"}", "there twice"),
        (r#"{"provider":"b"}"#, "no name"),
        (r#"{"model":"a\tb","provider":"b"}"#, "no name"),
        (r#"{"model":"a","provider":"b c"}"#, "not one word"),
        (r#"{"model":"a","provider":""}"#, "not one word"),
    ] {
        let err = made(facts).unwrap_err();
        assert!(err.contains(told), "{facts}: {err}");
    }
}
