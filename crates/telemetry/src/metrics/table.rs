//! The metrics that are told: name, kind, labels and help, once.

use super::label::Label::{self, *};

/// What a metric counts, and in which unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How many; a counter.
    Count,
    /// How much money; a counter. In nano-dollars inside, in dollars in the text.
    Dollars,
    /// How long; a histogram. In nanoseconds inside, in seconds in the text.
    Seconds,
    /// What is the case now; a gauge.
    Level,
}

macro_rules! metrics {
    ($($metric:ident $kind:ident $name:literal [$($label:ident)*] $help:literal)*) => {
        /// A metric by LiteLLM's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Metric { $(#[doc = $help] $metric,)* }

        impl Metric {
            /// All of them, in the order of the text.
            pub const ALL: &'static [Self] = &[$(Self::$metric,)*];

            /// Its name as it is registered; a counter has `_total` behind it in the text.
            pub fn name(self) -> &'static str {
                match self { $(Self::$metric => $name,)* }
            }

            /// What it counts.
            pub fn kind(self) -> Kind {
                match self { $(Self::$metric => Kind::$kind,)* }
            }

            /// What its series are told apart by.
            pub fn labels(self) -> &'static [Label] {
                match self { $(Self::$metric => &[$($label),*],)* }
            }

            /// What it says, for people.
            pub fn help(self) -> &'static str {
                match self { $(Self::$metric => $help,)* }
            }
        }
    };
}

metrics! {
    // Once a call, when it has ended.
    ProxyRequests Count "litellm_proxy_total_requests_metric" [EndUser HashedApiKey ApiKeyAlias RequestedModel Team TeamAlias User StatusCode UserEmail Route ClientIp UserAgent ModelId ApiProvider OrgId OrgAlias]
        "Requests to the gateway, by how they ended"
    ProxyFailures Count "litellm_proxy_failed_requests_metric" [EndUser HashedApiKey ApiKeyAlias RequestedModel Team TeamAlias User UserEmail ExceptionStatus ExceptionClass Route ClientIp UserAgent ModelId ApiProvider OrgId OrgAlias]
        "Requests that got no whole answer, by why"
    Requests Count "litellm_requests_metric" [EndUser HashedApiKey ApiKeyAlias Model Team TeamAlias User UserEmail ClientIp UserAgent RequestedModel ModelId ApiProvider OrgId OrgAlias]
        "Calls that a model answered to the end"
    TotalLatency Seconds "litellm_request_total_latency_metric" [ModelGroup EndUser HashedApiKey ApiKeyAlias RequestedModel Team TeamAlias User Model ModelId ApiProvider ServiceTier OrgId OrgAlias]
        "From the request's head to the answer's end, of calls that were answered"
    Overhead Seconds "litellm_overhead_latency_metric" [ModelGroup ApiProvider ApiBase LitellmModelName HashedApiKey ApiKeyAlias ModelId]
        "Until the answer's head, without the wait for the upstream"
    QueueTime Seconds "litellm_request_queue_time_seconds" [EndUser HashedApiKey ApiKeyAlias RequestedModel Team TeamAlias User Model ModelId ApiProvider OrgId OrgAlias]
        "From the request's head until the call began: the wait for a place and for the body"
    SuccessfulFallbacks Count "litellm_deployment_successful_fallbacks" [RequestedModel FallbackModel HashedApiKey ApiKeyAlias Team TeamAlias ExceptionStatus ExceptionClass ModelId]
        "Calls that another group answered than was asked for, by what had failed"
    CacheHits Count "litellm_cache_hits_metric" [Model HashedApiKey ApiKeyAlias Team TeamAlias EndUser User ModelId ApiProvider]
        "Calls that the cache answered"
    CacheMisses Count "litellm_cache_misses_metric" [Model HashedApiKey ApiKeyAlias Team TeamAlias EndUser User ModelId ApiProvider]
        "Calls that the cache was asked for in vain"
    CachedTokens Count "litellm_cached_tokens_metric" [Model HashedApiKey ApiKeyAlias Team TeamAlias EndUser User ModelId ApiProvider]
        "Tokens of answers that came from the cache"
    // Once an attempt, with what the ledger booked.
    ApiLatency Seconds "litellm_llm_api_latency_metric" [ModelGroup Model HashedApiKey ApiKeyAlias Team TeamAlias RequestedModel EndUser User ModelId ApiProvider ServiceTier OrgId OrgAlias]
        "From the attempt's begin to the answer's end, of attempts that were answered"
    FirstToken Seconds "litellm_llm_api_time_to_first_token_metric" [ModelGroup Model HashedApiKey ApiKeyAlias Team TeamAlias RequestedModel EndUser User ModelId ApiProvider ServiceTier OrgId OrgAlias]
        "From the attempt's begin to the first content, of streams"
    PerOutputToken Seconds "litellm_deployment_latency_per_output_token" [ModelGroup LitellmModelName ModelId ApiBase ApiProvider HashedApiKey ApiKeyAlias Team TeamAlias OrgId OrgAlias]
        "The attempt's time by its tokens of output"
    RemainingRequests Level "litellm_remaining_requests_metric" [ModelGroup ApiProvider ApiBase LitellmModelName HashedApiKey ApiKeyAlias ModelId]
        "Requests that the provider still takes, as it said last"
    RemainingTokens Level "litellm_remaining_tokens_metric" [ModelGroup ApiProvider ApiBase LitellmModelName HashedApiKey ApiKeyAlias ModelId]
        "Tokens that the provider still takes, as it said last"
    Spend Dollars "litellm_spend_metric" [EndUser HashedApiKey ApiKeyAlias Model Team TeamAlias User UserEmail ClientIp UserAgent RequestedModel ModelId ApiProvider ServiceTier OrgId OrgAlias]
        "What attempts cost, in dollars, as the ledger has it"
    TotalTokens Count "litellm_total_tokens_metric" [EndUser HashedApiKey ApiKeyAlias Model Team TeamAlias User UserEmail RequestedModel ModelId ApiProvider OrgId OrgAlias]
        "Tokens of input and output, as the ledger has them"
    InputTokens Count "litellm_input_tokens_metric" [EndUser HashedApiKey ApiKeyAlias Model Team TeamAlias User UserEmail RequestedModel ModelId ApiProvider OrgId OrgAlias]
        "Tokens of input, cached ones included"
    OutputTokens Count "litellm_output_tokens_metric" [EndUser HashedApiKey ApiKeyAlias Model Team TeamAlias User UserEmail RequestedModel ModelId ApiProvider OrgId OrgAlias]
        "Tokens of output"
    InputCachedTokens Count "litellm_input_cached_tokens_metric" [EndUser HashedApiKey ApiKeyAlias Model Team TeamAlias User UserEmail RequestedModel ModelId ApiProvider]
        "Tokens of input that the provider read from its cache"
    InputCacheCreationTokens Count "litellm_input_cache_creation_tokens_metric" [EndUser HashedApiKey ApiKeyAlias Model Team TeamAlias User UserEmail RequestedModel ModelId ApiProvider]
        "Tokens of input that the provider wrote to its cache"
    InputAudioTokens Count "litellm_input_audio_tokens_metric" [EndUser HashedApiKey ApiKeyAlias Model Team TeamAlias User UserEmail RequestedModel ModelId ApiProvider]
        "Tokens of sound in the input"
    OutputReasoningTokens Count "litellm_output_reasoning_tokens_metric" [EndUser HashedApiKey ApiKeyAlias Model Team TeamAlias User UserEmail RequestedModel ModelId ApiProvider]
        "Tokens of output spent on reasoning"
    OutputAudioTokens Count "litellm_output_audio_tokens_metric" [EndUser HashedApiKey ApiKeyAlias Model Team TeamAlias User UserEmail RequestedModel ModelId ApiProvider]
        "Tokens of sound in the output"
    ImagesGenerated Count "litellm_images_generated_metric" [EndUser HashedApiKey ApiKeyAlias Model Team TeamAlias User UserEmail RequestedModel ModelId ApiProvider OrgId OrgAlias]
        "Pictures that were made"
    ProviderCacheReads Count "litellm_provider_cache_read_input_tokens_metric" [Model HashedApiKey ApiKeyAlias Team TeamAlias EndUser User ModelId ApiProvider]
        "Tokens of input that the provider read from its cache"
    ProviderCacheWrites Count "litellm_provider_cache_creation_input_tokens_metric" [Model HashedApiKey ApiKeyAlias Team TeamAlias EndUser User ModelId ApiProvider]
        "Tokens of input that the provider wrote to its cache"
    ZeroCost Count "litellm_zero_cost_requests_total" [RequestedModel Model ModelId ApiProvider Reason]
        "Attempts with usage that cost nothing, because no price is known"
    FailedFallbacks Count "litellm_deployment_failed_fallbacks" [RequestedModel FallbackModel HashedApiKey ApiKeyAlias Team TeamAlias ExceptionStatus ExceptionClass ModelId]
        "Attempts that failed at another group than was asked for"
    DeploymentRequests Count "litellm_deployment_total_requests" [ModelGroup RequestedModel LitellmModelName ModelId ApiBase ApiProvider HashedApiKey ApiKeyAlias Team TeamAlias ClientIp UserAgent]
        "Attempts, by deployment"
    DeploymentSuccesses Count "litellm_deployment_success_responses" [ModelGroup RequestedModel LitellmModelName ModelId ApiBase ApiProvider HashedApiKey ApiKeyAlias Team TeamAlias ClientIp UserAgent]
        "Attempts that were answered to the end"
    DeploymentFailures Count "litellm_deployment_failure_responses" [ModelGroup RequestedModel LitellmModelName ModelId ApiBase ApiProvider ExceptionStatus ExceptionClass HashedApiKey ApiKeyAlias Team TeamAlias ClientIp UserAgent]
        "Attempts that failed, by why"
    ApiFailures Count "litellm_llm_api_failed_requests_metric" [EndUser HashedApiKey ApiKeyAlias Model Team TeamAlias User ModelId]
        "Attempts that failed, by who asked"
    DeploymentState Level "litellm_deployment_state" [LitellmModelName ModelId ApiBase ApiProvider]
        "0: the last attempt was answered; 1: it failed; 2: the deployment rests or is down"
    // Read when somebody looks.
    DeploymentCooledDown Count "litellm_deployment_cooled_down" [LitellmModelName ModelId ApiBase ApiProvider ExceptionStatus]
        "Times that a failure let the deployment rest, by its status"
    DeploymentTokenLimit Level "litellm_deployment_tpm_limit" [ModelGroup LitellmModelName ModelId ApiBase ApiProvider]
        "Tokens a minute that the deployment is configured with"
    DeploymentRequestLimit Level "litellm_deployment_rpm_limit" [ModelGroup LitellmModelName ModelId ApiBase ApiProvider]
        "Requests a minute that the deployment is configured with"
    KeyBudgetLeft Level "litellm_remaining_api_key_budget_metric" [HashedApiKey ApiKeyAlias]
        "Dollars that are left of the key's budget"
    KeyBudget Level "litellm_api_key_max_budget_metric" [HashedApiKey ApiKeyAlias]
        "Dollars of the key's budget"
    KeyBudgetHours Level "litellm_api_key_budget_remaining_hours_metric" [HashedApiKey ApiKeyAlias]
        "Hours until the key's budget begins anew"
    TeamBudgetLeft Level "litellm_remaining_team_budget_metric" [Team TeamAlias]
        "Dollars that are left of the team's budget"
    TeamBudget Level "litellm_team_max_budget_metric" [Team TeamAlias]
        "Dollars of the team's budget"
    TeamBudgetHours Level "litellm_team_budget_remaining_hours_metric" [Team TeamAlias]
        "Hours until the team's budget begins anew"
    OrgBudgetLeft Level "litellm_remaining_org_budget_metric" [OrgId OrgAlias]
        "Dollars that are left of the organization's budget"
    OrgBudget Level "litellm_org_max_budget_metric" [OrgId OrgAlias]
        "Dollars of the organization's budget"
    OrgBudgetHours Level "litellm_org_budget_remaining_hours_metric" [OrgId OrgAlias]
        "Hours until the organization's budget begins anew"
    UserBudgetLeft Level "litellm_remaining_user_budget_metric" [User]
        "Dollars that are left of the user's budget"
    UserBudget Level "litellm_user_max_budget_metric" [User]
        "Dollars of the user's budget"
    UserBudgetHours Level "litellm_user_budget_remaining_hours_metric" [User]
        "Hours until the user's budget begins anew"
    CustomerBudgetLeft Level "litellm_remaining_customer_budget_metric" [EndUser]
        "Dollars that are left of the end user's budget"
    CustomerBudget Level "litellm_customer_max_budget_metric" [EndUser]
        "Dollars of the end user's budget"
    CustomerBudgetHours Level "litellm_customer_budget_remaining_hours_metric" [EndUser]
        "Hours until the end user's budget begins anew"
    KeyRateAllowed Level "litellm_api_key_rate_limit_allowed_metric" [HashedApiKey ApiKeyAlias RateLimitType]
        "What the key may use a minute"
    KeyRateUsed Level "litellm_api_key_rate_limit_used_metric" [HashedApiKey ApiKeyAlias RateLimitType]
        "What the key had used of it at its last call"
    TeamRateAllowed Level "litellm_team_rate_limit_allowed_metric" [Team TeamAlias RateLimitType]
        "What the team may use a minute"
    TeamRateUsed Level "litellm_team_rate_limit_used_metric" [Team TeamAlias RateLimitType]
        "What the team had used of it at its last call"
    ProjectRateAllowed Level "litellm_project_model_rate_limit_allowed_metric" [ProjectId ProjectAlias RequestedModel RateLimitType]
        "What the project may use a minute"
    ProjectRateUsed Level "litellm_project_model_rate_limit_used_metric" [ProjectId ProjectAlias RequestedModel RateLimitType]
        "What the project had used of it at its last call"
    KeyModelRequestsLeft Level "litellm_remaining_api_key_requests_for_model" [HashedApiKey ApiKeyAlias Model ModelId]
        "Requests a minute that the key has left for the model"
    KeyModelTokensLeft Level "litellm_remaining_api_key_tokens_for_model" [HashedApiKey ApiKeyAlias Model ModelId]
        "Tokens a minute that the key has left for the model"
    CallbackFailures Count "litellm_callback_logging_failures_metric" [CallbackName]
        "Records of calls that did not reach where they should go"
    InFlight Level "litellm_in_flight_requests" []
        "Calls that are being answered"
    SpendQueue Level "litellm_in_memory_spend_update_queue_size" []
        "Entries of the ledger that wait for the database"
    // Under the names of common articles.
    CommonRequests Count "litellm_requests_total" [RequestedModel Team TeamAlias StatusCode]
        "Requests, by model, team and status"
    CommonDuration Seconds "litellm_request_duration_seconds" [RequestedModel ApiProvider]
        "From the request's head to the answer's end"
    CommonErrors Count "litellm_errors_total" [RequestedModel Team TeamAlias ExceptionStatus ExceptionClass]
        "Requests that got no whole answer"
    CommonCacheHits Count "litellm_cache_hits_total" [RequestedModel Team TeamAlias]
        "Calls that the cache answered"
    CommonTokens Count "litellm_tokens_total" [RequestedModel Team TeamAlias Model ApiProvider]
        "Tokens of input and output"
    CommonSpend Dollars "litellm_spend_total" [RequestedModel Team TeamAlias Model ApiProvider]
        "What attempts cost, in dollars"
    // LiteLLM's figures of its own services.
    SelfLatency Seconds "litellm_self_latency" []
        "Until the answer's head, without the wait for the upstream"
    SelfRequests Count "litellm_self_total_requests" []
        "Requests to the gateway"
    SelfFailures Count "litellm_self_failed_requests" []
        "Requests that got no whole answer"
}

// === impl Metric ===

impl Metric {
    /// Whether it is of LiteLLM's own services, which are told only where `prometheus_system` is named.
    pub(super) fn is_of_services(self) -> bool {
        matches!(self, Self::SelfLatency | Self::SelfRequests | Self::SelfFailures)
    }
}
