//! The layers: every edge between the workspace's packages and every fence around a dependency stands in a table here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Who may depend on whom in the code that ships, from the bottom up; arrows point down only. The crates between two
/// lines are siblings and meet only as `Service<Call>`.
const EDGES: &[(&str, &[&str])] = &[
    // L0: the words.
    ("core", &[]),
    // L1: pure codecs, data, counting, the HTTP client, telemetry.
    ("dialects", &["core"]),
    ("catalogue", &["core"]),
    ("tokens", &["core"]),
    ("transport", &["core"]),
    ("telemetry", &["core", "dialects", "transport"]),
    // L2: policies and providers.
    ("providers", &["core", "dialects", "catalogue", "transport", "tokens", "telemetry"]),
    ("routing", &["core"]),
    ("limits", &["core"]),
    ("spend", &["core"]),
    ("auth", &["core"]),
    ("cache", &["core", "dialects", "transport"]),
    ("sinks", &["core", "dialects", "transport"]),
    ("alerts", &["core", "transport"]),
    // L3: the database, which answers what the policies ask of it.
    ("store", &["core", "spend", "limits", "auth"]),
    // L4: what listens. It asks auth at the door and takes the stack as a service, so it knows no other policy.
    ("gateway", &["core", "dialects", "auth"]),
    ("admin", &["core", "tokens", "auth", "limits", "spend", "store"]),
    // The same layers without a server.
    ("sdk", &["core", "dialects", "catalogue", "transport", "telemetry", "providers", "routing"]),
    // L5: the wiring knows everything.
    ("gatewright", EVERYTHING),
    ("tests", EVERYTHING),
];

const EVERYTHING: &[&str] = &[
    "core",
    "dialects",
    "catalogue",
    "tokens",
    "transport",
    "telemetry",
    "providers",
    "routing",
    "limits",
    "spend",
    "auth",
    "cache",
    "sinks",
    "alerts",
    "store",
    "gateway",
    "admin",
    "sdk",
];

/// Which packages may depend on what others have no business with. A name that ends in `*` stands for all that begin so.
const FENCES: &[(&str, &[&str], &str)] = &[
    (
        "hyper",
        &["transport", "gateway", "tests"],
        "only transport opens HTTP connections, only the gateway listens",
    ),
    (
        "hyper-util",
        &["transport", "gateway", "tests"],
        "only transport opens HTTP connections, only the gateway listens",
    ),
    ("tokio-rustls", &["transport"], "one TLS client"),
    ("rustls", &["transport", "gatewright", "sdk"], "the binary installs the provider, transport uses it"),
    ("hickory-resolver", &["transport"], "names are resolved where addresses are judged"),
    ("socket2", &["transport", "gateway"], "sockets are opened and accepted there only"),
    ("axum", &["gateway", "admin"], "only the gateway listens, with admin's routes beside its own"),
    ("opentelemetry*", &["telemetry"], "everybody else speaks tracing"),
    ("tracing-opentelemetry", &["telemetry"], "everybody else speaks tracing"),
    ("tracing-subscriber", &["telemetry"], "subscribers are installed in one place"),
    ("figment", &["gatewright"], "configuration is read by the binary"),
    ("serde-saphyr", &["gatewright"], "configuration is read by the binary"),
    ("clap", &["gatewright"], "the command line belongs to the binary"),
    ("mimalloc", &["gatewright"], "the allocator belongs to the binary"),
    ("rustix", &["spend", "gatewright", "tests"], "system calls are for the journal and for processes"),
    ("sea-orm*", &["store"], "only the store speaks SQL"),
    ("sqlx*", &["store"], "only the store speaks SQL"),
    (
        "redis",
        &["limits", "cache", "gatewright"],
        "the binary says where it is, the counts and the cache use it",
    ),
    ("lettre", &["alerts"], "mail is one of the channels that alerts have"),
    ("deadpool-redis", &[], "a pool asks Redis before each use; one connection carries all calls"),
    ("reqwest", &[], "transport is the one HTTP client"),
    ("serde_yaml", &[], "serde-saphyr reads YAML"),
    ("openssl*", &[], "rustls with aws-lc-rs only"),
    ("native-tls", &[], "rustls with aws-lc-rs only"),
];

/// Packages that know no runtime: words, codecs, data and counting are pure.
const PURE: &[&str] = &["core", "dialects", "catalogue", "tokens"];

/// What a pure package must not know.
const RUNTIME: &[&str] = &["tokio", "tokio-util", "hyper", "futures-util", "axum", "tower", "tracing"];

#[test]
fn every_edge_stands_in_the_table() {
    let metadata = workspace();
    let table: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let name = short(&package.name);
        let Some(allowed) = table.get(name) else {
            wrong.push(format!("{name} has no row in the table"));
            continue;
        };
        for dependency in shipped(package).filter_map(workspace_name) {
            if !allowed.contains(&dependency) {
                wrong.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that no row allows:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_points_down_only() {
    let mut below = BTreeSet::new();
    for (name, edges) in EDGES {
        let up: Vec<_> = edges.iter().filter(|edge| !below.contains(*edge)).collect();
        assert!(up.is_empty(), "{name} would depend on {up:?}, which stand beside or above it");
        below.insert(*name);
    }
}

#[test]
fn policies_never_meet_each_other() {
    const SIBLINGS: &[&str] = &["providers", "routing", "limits", "spend", "auth", "cache"];
    for (name, edges) in EDGES.iter().filter(|(name, _)| SIBLINGS.contains(name)) {
        assert!(!edges.iter().any(|edge| SIBLINGS.contains(edge)), "{name} may meet a sibling");
    }
}

#[test]
fn dependencies_stay_behind_their_fences() {
    let metadata = workspace();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let name = short(&package.name);
        for dependency in shipped(package) {
            let fence = FENCES.iter().find(|(fenced, ..)| matches(fenced, dependency));
            if let Some((_, allowed, why)) = fence
                && !allowed.contains(&name)
            {
                wrong.push(format!("{name} depends on {dependency}: {why}"));
            }
            if PURE.contains(&name) && RUNTIME.contains(&dependency) {
                wrong.push(format!("{name} depends on {dependency}, but is pure"));
            }
        }
    }
    assert!(wrong.is_empty(), "outside of a fence:\n{}", wrong.join("\n"));
}

#[test]
fn packages_are_named_after_their_folders() {
    for package in workspace().workspace_packages() {
        let folder = package.manifest_path.parent().and_then(|dir| dir.file_name()).unwrap_or_default();
        assert_eq!(short(&package.name), folder, "{}", package.manifest_path);
    }
}

fn workspace() -> Metadata {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    MetadataCommand::new().manifest_path(root).no_deps().exec().unwrap()
}

/// The dependencies of what ships; what only tests use may point anywhere.
fn shipped(package: &Package) -> impl Iterator<Item = &str> {
    package
        .dependencies
        .iter()
        .filter(|edge| edge.kind != DependencyKind::Development)
        .map(|edge| edge.name.as_str())
}

fn workspace_name(dependency: &str) -> Option<&str> {
    dependency.starts_with("gatewright").then(|| short(dependency))
}

fn short(name: &str) -> &str {
    name.strip_prefix("gatewright-").unwrap_or(name)
}

fn matches(fenced: &str, dependency: &str) -> bool {
    match fenced.strip_suffix('*') {
        Some(start) => dependency.starts_with(start),
        None => fenced == dependency,
    }
}
