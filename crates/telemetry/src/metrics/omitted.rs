//! The metrics of LiteLLM that are not told here, and why: a figure that cannot be true is left out.

/// A metric that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Omitted {
    /// LiteLLM's name for it.
    pub name: &'static str,
    /// Why there is none.
    pub why: &'static str,
}

/// All of them, in LiteLLM's order. Those of `prometheus_system` stand for one service each.
pub const OMITTED: &[Omitted] = &[
    omitted("litellm_overhead_with_guardrails_latency_metric", "there are no guardrails"),
    omitted("litellm_video_duration_seconds_metric", "there are no calls for videos"),
    omitted("litellm_team_members_metric", "who is in a team stands in the database, which no scrape asks"),
    omitted("litellm_pod_lock_manager_size", "replicas take no locks to write what was spent"),
    omitted(
        "litellm_in_memory_daily_spend_update_queue_size",
        "sums by day are written with the entries, in one transaction",
    ),
    omitted("litellm_redis_daily_spend_update_queue_size", "what was spent does not go through Redis"),
    omitted("litellm_redis_spend_update_queue_size", "what was spent does not go through Redis"),
    omitted("litellm_guardrail_latency_seconds", "there are no guardrails"),
    omitted("litellm_guardrail_errors_total", "there are no guardrails"),
    omitted("litellm_guardrail_requests_total", "there are no guardrails"),
    omitted("litellm_spend_capture_rate", "no provider's bill is read"),
    omitted("litellm_managed_batch_created_total", "there are no managed batches"),
    omitted("litellm_managed_file_size_bytes", "there are no managed files"),
    omitted("litellm_managed_batch_duration_seconds", "there are no managed batches"),
    omitted("litellm_managed_file_created_total", "there are no managed files"),
    omitted("litellm_managed_file_deleted_total", "there are no managed files"),
    omitted("litellm_check_batch_cost_jobs_polled", "there are no managed batches"),
    omitted("litellm_check_batch_cost_jobs_processed_total", "there are no managed batches"),
    omitted("litellm_check_batch_cost_errors_total", "there are no managed batches"),
    omitted("litellm_check_batch_cost_last_run_timestamp", "there are no managed batches"),
    omitted("litellm_mcp_tool_calls_total", "there are no MCP tools"),
    omitted("litellm_mcp_tool_call_spend_metric", "there are no MCP tools"),
    omitted(
        "litellm_redis_latency",
        "no time of a command is kept; gatewright_redis_connected tells whether it answers",
    ),
    omitted(
        "litellm_postgres_latency",
        "no call waits for the database; gatewright_ledger_connected tells whether it answers",
    ),
    omitted(
        "litellm_batch_write_to_db_latency",
        "gatewright_ledger_backlog_oldest_seconds tells how far behind the database is",
    ),
    omitted("litellm_reset_budget_job_latency", "budgets begin anew by themselves, without a job"),
    omitted("litellm_auth_latency", "it is part of gatewright_overhead_seconds"),
    omitted("litellm_router_latency", "it is part of gatewright_overhead_seconds"),
    omitted("litellm_proxy_pre_call_latency", "it is part of gatewright_overhead_seconds"),
    omitted("litellm_pod_lock_manager_latency", "replicas take no locks to write what was spent"),
];

const fn omitted(name: &'static str, why: &'static str) -> Omitted {
    Omitted { name, why }
}
