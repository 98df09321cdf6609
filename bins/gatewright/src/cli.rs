//! The command line: LiteLLM's flags where they mean something here, and our own commands.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// One OpenAI-compatible API in front of every model provider.
#[derive(Clone, Debug, Parser)]
#[command(name = "gatewright", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub serve: Serve,
}

/// What there is to do besides serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Lists and sums the attempts in the journal.
    Journal(JournalArgs),
    /// Brings what another gateway keeps in its database.
    Import(ImportArgs),
}

/// How to serve.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// The configuration, in LiteLLM's format.
    #[arg(short, long, env = "CONFIG_FILE_PATH", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The address to listen on.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, env = "PORT", default_value_t = 4000)]
    pub port: u16,
    /// Serves this one model (`openai/gpt-4o`) without a file.
    #[arg(short, long, conflicts_with = "config", value_name = "PROVIDER/MODEL")]
    pub model: Option<String>,
    /// The public name of that model.
    #[arg(long, requires = "model", value_name = "NAME")]
    pub alias: Option<String>,
    /// The endpoint of that model.
    #[arg(long, alias = "api_base", requires = "model", value_name = "URL")]
    pub api_base: Option<String>,
    /// Reports every problem of the configuration and exits: with 1 where it would not start.
    #[arg(long, aliases = ["validate_config", "validate-config"])]
    pub check: bool,
    /// Threads that serve; by default one a core.
    #[arg(long, alias = "num_workers", env = "NUM_WORKERS", value_name = "N")]
    pub workers: Option<usize>,
    /// Logs more.
    #[arg(long, alias = "detailed_debug")]
    pub debug: bool,
}

/// What to tell of the journal.
#[derive(Clone, Debug, Args)]
pub struct JournalArgs {
    /// The data directory of the gateway.
    #[arg(long, default_value = "gatewright-data", value_name = "DIR")]
    pub dir: PathBuf,
    /// One JSON object a line for every attempt, in place of the table.
    #[arg(long)]
    pub json: bool,
}

/// What to bring from where.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// Whose database it is.
    pub source: Source,
    /// Its address.
    #[arg(long, value_name = "POSTGRES-URL")]
    pub from: String,
    /// The configuration of this gateway, which says where its own database is.
    #[arg(short, long, env = "CONFIG_FILE_PATH", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Reads and checks everything and writes nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Gateways whose databases are understood.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Source {
    /// LiteLLM.
    Litellm,
}
