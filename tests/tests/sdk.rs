//! The libraries that OpenAI, Anthropic, Google and Cohere publish, in Python and Node, and the frameworks that are built on
//! them, against the gateway in front of the dialects.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gatewright_tests::gateway::{Gateway, MASTER_KEY, deployment};
use gatewright_tests::upstream::Upstream;

#[test]
fn the_python_libraries_are_served_and_the_openapi_document_is_one() {
    let home = python("python", &[]);
    for script in ["python/check.py", "python/cohere_check.py", "python/openapi.py"] {
        check(Command::new(home.join("bin/python")).arg(sources().join(script)));
    }
}

#[test]
fn the_frameworks_are_served() {
    checked("frameworks", &["pydantic_ai", "langchain", "instructor"]);
}

/// Apart from the others: what they require is larger, and does not go with the newest library of OpenAI.
#[test]
fn the_frameworks_of_agents_are_served() {
    checked("agents", &["autogen", "llama_index", "dspy"]);
}

#[test]
fn the_node_libraries_are_served() {
    let home = prepared("node", "package-lock.json", |source, home| {
        for name in ["package.json", "package-lock.json"] {
            fs::copy(source.join(name), home.join(name)).unwrap();
        }
        run(Command::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(home));
    });
    // Node looks for packages beside the script.
    fs::copy(sources().join("node/check.mjs"), home.join("check.mjs")).unwrap();
    check(Command::new("node").arg(home.join("check.mjs")));
}

/// Runs the checks of a folder, which pins every package that they need: pip, left to choose, tries versions for minutes.
/// DSPy would fetch the prices of models from elsewhere.
fn checked(name: &str, checks: &[&str]) {
    let home = python(name, &["--no-deps"]);
    for check_of in checks {
        let script = sources().join(name).join(format!("{check_of}_check.py"));
        let mut python = Command::new(home.join("bin/python"));
        python.env("PYTHONPATH", sources()).env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
        check(python.arg("-B").arg(script));
    }
}

/// A virtual environment with what the folder requires.
fn python(name: &str, options: &[&str]) -> PathBuf {
    prepared(name, "requirements.txt", |source, home| {
        run(Command::new("python3").args(["-m", "venv", "."]).current_dir(home));
        let requirements = source.join("requirements.txt");
        let pip = ["install", "--quiet", "--requirement"];
        run(Command::new(home.join("bin/pip")).args(pip).arg(requirements).args(options));
    })
}

/// Runs a script against a gateway with one model of each dialect. Each runs alone: the libraries' retries are part of
/// what is checked, so the gateway itself tries only once.
fn check(script: &mut Command) {
    let upstream = Upstream::start();
    let list = [
        deployment("openai-model", "openai/gpt-4o", &upstream, ""),
        deployment("anthropic-model", "anthropic/claude-sonnet-4-5", &upstream, ""),
        deployment("gemini-model", "gemini/gemini-2.5-flash", &upstream, ""),
        deployment("cohere-model", "cohere/command-a-03-2025", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!(
        "router_settings: {{num_retries: 0, disable_cooldowns: true}}\nmodel_list:\n{}",
        list.concat()
    ));
    script
        .env("GATEWAY", gateway.base())
        .env("KEY", MASTER_KEY)
        .env("MODELS", "openai-model,anthropic-model,gemini-model")
        .env("COHERE", "cohere-model");
    run(script.env("NO_PROXY", "*"));
}

/// A folder under `target` with what `stamp` asks for; installed once, and again when the file changes.
fn prepared(name: &str, stamp: &str, install: impl Fn(&Path, &Path)) -> PathBuf {
    let source = sources().join(name);
    // The test runs from `target/<profile>/deps`.
    let test = std::env::current_exe().unwrap();
    let home = test.ancestors().nth(3).unwrap().join("sdk").join(name);
    let wanted = fs::read(source.join(stamp)).unwrap();
    let done = home.join("installed");
    if fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return home;
    }
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home).unwrap();
    install(&source, &home);
    fs::write(done, wanted).unwrap();
    home
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|err| panic!("{command:?}: {err}"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?} ended with {}:\n{text}", output.status);
}

fn sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sdk")
}
