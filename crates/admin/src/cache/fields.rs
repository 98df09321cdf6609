//! The settings of the cache that can be changed while the gateway runs, as a form shows them.

use serde_json::{Map, Value, json};

/// One setting.
pub(super) struct Setting {
    pub(super) name: &'static str,
    /// LiteLLM's word for what its value is.
    kind: &'static str,
    label: &'static str,
    words: &'static str,
    /// What holds where it is not set, in JSON.
    default: &'static str,
    options: &'static [&'static str],
    /// The kind of Redis that it is for; all where none is named.
    of: Option<&'static str>,
}

/// Kinds of Redis, and what a form says of them.
pub(super) const REDIS_TYPES: [(&str, &str); 3] = [
    ("node", "One server, or a name that follows a failover"),
    ("cluster", "A cluster, found through some of its nodes"),
    ("sentinel", "Servers behind sentinels, which name the master and follow a failover"),
];

/// How a form calls the kind of Redis. It follows from the other settings, and is not kept.
pub(super) const REDIS_TYPE: &str = "redis_type";

/// Those that LiteLLM has come first, in its order.
const SETTINGS: &[Setting] = &[
    Setting {
        default: "\"node\"",
        options: &["node", "cluster", "sentinel"],
        ..text(REDIS_TYPE, "Redis Type", "How the Redis is set up")
    },
    text(
        "url",
        "Redis URL",
        "Where the Redis is, as redis://user:password@host:port/database; goes before host, port, username, password and db",
    ),
    text("host", "Host", "The name or the address of the server"),
    Setting { default: "\"6379\"", ..text("port", "Port", "The port of the server") },
    Setting { kind: "Integer", ..text("db", "Database Index", "The number of the database on the server") },
    text("password", "Password", "The password of the server"),
    text("username", "Username", "The user of the server, where it has users"),
    Setting { default: "false", ..flag("ssl", "SSL", "Whether the server is spoken to over TLS") },
    text("namespace", "Namespace", "Stands before the key of every answer"),
    number("ttl", "TTL (seconds)", "Seconds that an answer is kept"),
    Setting {
        of: Some("cluster"),
        ..list(
            "redis_startup_nodes",
            "Startup Nodes",
            "Nodes of the cluster, any of which names the others: [{\"host\": \"a\", \"port\": 7000}]",
        )
    },
    Setting {
        of: Some("sentinel"),
        ..list("sentinel_nodes", "Sentinel Nodes", "The sentinels: [[\"a\", 26379]]")
    },
    Setting {
        of: Some("sentinel"),
        ..text("service_name", "Service Name", "The name that the sentinels know the master by")
    },
    Setting {
        of: Some("sentinel"),
        ..text("sentinel_password", "Sentinel Password", "The password of the sentinels themselves")
    },
    Setting {
        default: "0.9",
        of: Some("semantic"),
        ..number(
            "similarity_threshold",
            "Similarity Threshold",
            "How alike two questions must be to get one answer, from 0 to 1",
        )
    },
    Setting {
        kind: "Models_Select",
        of: Some("semantic"),
        ..text(
            "redis_semantic_cache_embedding_model",
            "Embedding Model",
            "The model that turns questions into numbers to compare them",
        )
    },
    text(
        "ssl_ca_certs",
        "Certificate Authorities",
        "A file of the certificates that are trusted in place of the public authorities'",
    ),
    text("ssl_certfile", "Certificate", "A file of the certificate that the gateway shows the server"),
    text("ssl_keyfile", "Key of the Certificate", "A file of that certificate's key"),
    Setting {
        options: &[
            "local",
            "redis",
            "local-semantic",
            "redis-semantic",
            "valkey-semantic",
            "qdrant-semantic",
        ],
        ..text(
            "type",
            "Cache Type",
            "What answers are kept in; without it in the Redis that is named, else in memory",
        )
    },
    Setting {
        default: "\"default_on\"",
        options: &["default_on", "default_off"],
        ..text("mode", "Mode", "Whether every call is answered from the cache, or only those that ask for it")
    },
    Setting {
        default: "\"team\"",
        options: &["key", "team", "organization", "global"],
        ..text("scope", "Scope", "Who shares an answer")
    },
    list(
        "supported_call_types",
        "Call Types",
        "The kinds of calls that are answered; all where none is named",
    ),
    number(
        "default_in_memory_ttl",
        "TTL in Memory (seconds)",
        "Seconds that memory keeps an answer whose time nobody says",
    ),
    number(
        "default_in_redis_ttl",
        "TTL in Redis (seconds)",
        "Seconds that Redis keeps an answer whose time nobody says",
    ),
    Setting {
        default: "true",
        ..flag("memory_in_front", "Memory in Front", "Whether what Redis has is kept in memory too")
    },
    Setting {
        default: "0.075",
        ..number("deadline", "Deadline (seconds)", "Seconds that a call waits for Redis")
    },
];

const fn text(name: &'static str, label: &'static str, words: &'static str) -> Setting {
    Setting { name, kind: "String", label, words, default: "null", options: &[], of: None }
}

const fn number(name: &'static str, label: &'static str, words: &'static str) -> Setting {
    Setting { kind: "Float", ..text(name, label, words) }
}

const fn flag(name: &'static str, label: &'static str, words: &'static str) -> Setting {
    Setting { kind: "Boolean", ..text(name, label, words) }
}

const fn list(name: &'static str, label: &'static str, words: &'static str) -> Setting {
    Setting { kind: "List", ..text(name, label, words) }
}

/// All of them, with these values.
pub(super) fn shown(values: &Map<String, Value>) -> Vec<Value> {
    SETTINGS.iter().map(|setting| setting.shown(values.get(setting.name))).collect()
}

/// A body of settings, as a JSON schema.
pub fn cache_settings_schema() -> Value {
    let fields: Map<String, Value> =
        SETTINGS.iter().map(|setting| (setting.name.to_owned(), setting.schema())).collect();
    let settings = json!({"type": "object", "properties": fields});
    json!({"type": "object", "required": ["cache_settings"], "properties": {"cache_settings": settings}})
}

// === impl Setting ===

impl Setting {
    fn schema(&self) -> Value {
        let kind = match self.kind {
            "Integer" => "integer",
            "Float" => "number",
            "Boolean" => "boolean",
            "List" => "array",
            _ => "string",
        };
        let mut schema = json!({"type": kind, "description": self.words});
        if !self.options.is_empty() {
            schema["enum"] = json!(self.options);
        }
        schema
    }

    fn shown(&self, value: Option<&Value>) -> Value {
        let default: Value = serde_json::from_str(self.default).unwrap_or_default();
        json!({
            "field_name": self.name,
            "field_type": self.kind,
            "field_value": value,
            "field_description": self.words,
            "field_default": default,
            "options": (!self.options.is_empty()).then_some(self.options),
            "ui_field_name": self.label,
            "link": null,
            "redis_type": self.of,
        })
    }
}
