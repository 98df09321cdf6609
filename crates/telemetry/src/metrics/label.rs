//! The labels that metrics may have, by LiteLLM's names.

macro_rules! labels {
    ($($(#[doc = $doc:literal])* $label:ident $name:literal)*) => {
        /// What the series of a metric are told apart by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Label { $($(#[doc = $doc])* $label,)* }

        impl Label {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$label,)*];

            /// Its name in the text.
            pub fn name(self) -> &'static str {
                match self { $(Self::$label => $name,)* }
            }
        }
    };
}

labels! {
    /// The end user on whose behalf the client called.
    EndUser "end_user"
    /// The key's hash, or the name of a role.
    HashedApiKey "hashed_api_key"
    /// The key's alias.
    ApiKeyAlias "api_key_alias"
    /// The team's id.
    Team "team"
    /// The team's alias.
    TeamAlias "team_alias"
    /// The user's id.
    User "user"
    /// The user's e-mail address.
    UserEmail "user_email"
    /// The organization's id.
    OrgId "org_id"
    /// The organization's alias.
    OrgAlias "org_alias"
    /// The project's id.
    ProjectId "project_id"
    /// The project's alias.
    ProjectAlias "project_alias"
    /// The public model name that was asked for.
    RequestedModel "requested_model"
    /// The model group that answered.
    ModelGroup "model_group"
    /// The model's name at the provider.
    Model "model"
    /// The same, where LiteLLM calls it so.
    LitellmModelName "litellm_model_name"
    /// The deployment's id.
    ModelId "model_id"
    /// The upstream's base URL.
    ApiBase "api_base"
    /// The provider's name.
    ApiProvider "api_provider"
    /// The class of service; never known here.
    ServiceTier "service_tier"
    /// The status that the client saw.
    StatusCode "status_code"
    /// The status of what failed.
    ExceptionStatus "exception_status"
    /// LiteLLM's class for what failed, behind the provider's name where it is the provider's.
    ExceptionClass "exception_class"
    /// The path that was called, in its usual form.
    Route "route"
    /// Where the request came from; not told, for every address would be a series.
    ClientIp "client_ip"
    /// The client's `User-Agent`.
    UserAgent "user_agent"
    /// The group that answered in place of the one that was asked for.
    FallbackModel "fallback_model"
    /// Why.
    Reason "reason"
    /// `requests` or `tokens`.
    RateLimitType "rate_limit_type"
    /// Where records of calls go.
    CallbackName "callback_name"
}

// === impl Label ===

impl Label {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|label| label.name() == name)
    }

    /// Whether few values are possible whatever callers do: those are told even where series are too many.
    pub(super) fn is_bounded(self) -> bool {
        matches!(
            self,
            Self::ApiProvider
                | Self::StatusCode
                | Self::ExceptionStatus
                | Self::ExceptionClass
                | Self::Route
                | Self::Reason
                | Self::RateLimitType
                | Self::CallbackName
        )
    }
}
