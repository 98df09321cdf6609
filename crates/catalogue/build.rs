//! Writes the table of providers as JSON, for which there is a reader in every process already: one for TOML would be
//! there for a single file, and takes longer at every start.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::Value;

const TABLE: &str = "data/providers.toml";

#[expect(clippy::disallowed_methods, reason = "Cargo tells a build script its folder in the environment")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={TABLE}");
    let table: Value = toml::from_str(&fs::read_to_string(TABLE)?)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("providers.json"), table.to_string())?;
    Ok(())
}
