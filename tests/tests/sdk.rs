//! The libraries that OpenAI, Anthropic, Google and Cohere publish, in Python and Node, the frameworks that are built on
//! them, and the first two's coding agents, against the gateway in front of the dialects.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    checked("agent_frameworks", &["autogen", "llama_index", "dspy"]);
}

/// Apart again: these pin other versions of what the two above share.
#[test]
fn the_crews_are_served() {
    checked("crews", &["crewai"]);
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

#[test]
fn the_coding_agents_are_served_over_every_kind_of_upstream() {
    let Some(home) = agents() else { return };
    let upstream = Upstream::start();
    let gateway = serving(&upstream);
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "model_provider = \"gatewright\"\n[model_providers.gatewright]\nname = \"gatewright\"\n\
         base_url = \"{}/v1\"\nenv_key = \"GATEWAY_KEY\"\nwire_api = \"responses\"\n",
        gateway.base()
    );
    fs::write(folder.path().join("config.toml"), config).unwrap();
    let agent = |name: &str| {
        let mut command = Command::new(home.join("node_modules/.bin").join(name));
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .env("HOME", folder.path())
            .env("NO_PROXY", "*");
        command
    };
    for (model, path) in [
        ("openai-model", ["/v1/responses", "/v1/chat/completions"]),
        ("anthropic-model", ["/v1/messages", "/v1/messages"]),
        ("chat-model", ["/v1/chat/completions", "/v1/chat/completions"]),
    ] {
        let codex = said(
            agent("codex")
                .args(["exec", "--skip-git-repo-check", "--model", model, "say n=3"])
                .env("CODEX_HOME", folder.path())
                .env("GATEWAY_KEY", MASTER_KEY),
        );
        assert_eq!((codex.as_str(), upstream.last().path.as_str()), ("w0 w1 w2", path[0]), "{model}");
        let claude = said(
            agent("claude")
                .args(["--print", "say n=3", "--model", model])
                .envs([("ANTHROPIC_BASE_URL", gateway.base().as_str()), ("ANTHROPIC_AUTH_TOKEN", MASTER_KEY)])
                .envs([("ANTHROPIC_DEFAULT_HAIKU_MODEL", model), ("DISABLE_AUTOUPDATER", "1")])
                .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        );
        let asked = upstream.last().path;
        assert_eq!((claude.as_str(), asked.split('?').next()), ("w0 w1 w2", Some(path[1])), "{model}");
    }
}

/// Where OpenAI's and Anthropic's agents are installed; `None` where npm has no network to fetch them over.
fn agents() -> Option<PathBuf> {
    let offline = std::cell::Cell::new(false);
    let home = prepared("agents", "package-lock.json", |source, home| {
        for name in ["package.json", "package-lock.json"] {
            fs::copy(source.join(name), home.join(name)).unwrap();
        }
        let install = ["ci", "--no-audit", "--no-fund", "--fetch-retries", "1"];
        let output = Command::new("npm").args(install).current_dir(home).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        offline.set(
            ["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT"].iter().any(|why| text.contains(why)),
        );
        assert!(output.status.success() || offline.get(), "npm failed: {text}");
    });
    if offline.get() {
        println!("skipped: npm has no network to install the agents over");
        fs::remove_dir_all(home).unwrap();
        return None;
    }
    Some(home)
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
    let gateway = serving(&upstream);
    script
        .env("GATEWAY", gateway.base())
        .env("KEY", MASTER_KEY)
        .env("MODELS", "openai-model,anthropic-model,gemini-model")
        .env("COHERE", "cohere-model");
    run(script.env("NO_PROXY", "*"));
}

fn serving(upstream: &Upstream) -> Gateway {
    let list = [
        deployment("openai-model", "openai/gpt-4o", upstream, ""),
        deployment("anthropic-model", "anthropic/claude-sonnet-4-5", upstream, ""),
        deployment("gemini-model", "gemini/gemini-2.5-flash", upstream, ""),
        deployment("cohere-model", "cohere/command-a-03-2025", upstream, ""),
        deployment("chat-model", "groq/llama-3.3-70b-versatile", upstream, ""),
    ];
    Gateway::start(&format!(
        "router_settings: {{num_retries: 0, disable_cooldowns: true}}\nmodel_list:\n{}",
        list.concat()
    ))
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
    said(command);
}

/// What a command that succeeds says.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|err| panic!("{command:?}: {err}"));
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}:\n{said}\n{told}", output.status);
    said
}

fn sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sdk")
}
