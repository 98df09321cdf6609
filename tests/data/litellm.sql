-- Tables of LiteLLM's database (schema.prisma of 1.109) with a few rows, as far as an import reads them. Secrets are
-- encrypted for the salt `sk-old-master`, in each of the three ways.
CREATE TABLE "LiteLLM_BudgetTable" (budget_id text PRIMARY KEY, max_budget double precision, soft_budget double precision,
  max_parallel_requests int, tpm_limit bigint, rpm_limit bigint, tpd_limit bigint, model_max_budget jsonb, budget_duration text,
  budget_reset_at timestamp(3), allowed_models text[] DEFAULT '{}', created_at timestamp(3) DEFAULT now(), created_by text NOT NULL DEFAULT 'a',
  updated_at timestamp(3) DEFAULT now(), updated_by text NOT NULL DEFAULT 'a');
CREATE TABLE "LiteLLM_CredentialsTable" (credential_id text PRIMARY KEY, credential_name text UNIQUE, credential_values jsonb NOT NULL,
  credential_info jsonb, created_at timestamp(3) DEFAULT now(), created_by text DEFAULT 'a', updated_at timestamp(3) DEFAULT now(), updated_by text DEFAULT 'a');
CREATE TABLE "LiteLLM_ProxyModelTable" (model_id text PRIMARY KEY, model_name text, litellm_params jsonb NOT NULL, model_info jsonb,
  blocked boolean NOT NULL DEFAULT false, created_at timestamp(3) DEFAULT now(), created_by text, updated_at timestamp(3) DEFAULT now(), updated_by text DEFAULT 'a');
CREATE TABLE "LiteLLM_OrganizationTable" (organization_id text PRIMARY KEY, organization_alias text, budget_id text, metadata jsonb DEFAULT '{}',
  models text[], spend double precision DEFAULT 0, model_spend jsonb DEFAULT '{}', object_permission_id text,
  created_at timestamp(3) DEFAULT now(), created_by text DEFAULT 'a', updated_at timestamp(3) DEFAULT now(), updated_by text DEFAULT 'a');
CREATE TABLE "LiteLLM_ModelTable" (id serial PRIMARY KEY, aliases jsonb, created_at timestamp(3) DEFAULT now(), created_by text DEFAULT 'a',
  updated_at timestamp(3) DEFAULT now(), updated_by text DEFAULT 'a');
CREATE TABLE "LiteLLM_TeamTable" (team_id text PRIMARY KEY, team_alias text, organization_id text, object_permission_id text, admins text[],
  members text[], members_with_roles jsonb DEFAULT '{}', metadata jsonb DEFAULT '{}', max_budget double precision, soft_budget double precision,
  spend double precision DEFAULT 0, models text[], max_parallel_requests int, tpm_limit bigint, rpm_limit bigint, budget_duration text,
  budget_reset_at timestamp(3), blocked boolean DEFAULT false, created_at timestamp(3) DEFAULT now(), updated_at timestamp(3) DEFAULT now(),
  model_spend jsonb DEFAULT '{}', model_max_budget jsonb DEFAULT '{}', router_settings jsonb DEFAULT '{}', team_member_permissions text[] DEFAULT '{}',
  access_group_ids text[] DEFAULT '{}', policies text[] DEFAULT '{}', default_team_member_models text[] DEFAULT '{}', budget_limits jsonb, model_id int,
  allow_team_guardrail_config boolean DEFAULT false);
CREATE TABLE "LiteLLM_ProjectTable" (project_id text PRIMARY KEY, project_alias text, description text, team_id text, budget_id text,
  metadata jsonb DEFAULT '{}', models text[], spend double precision DEFAULT 0, model_spend jsonb DEFAULT '{}', model_rpm_limit jsonb DEFAULT '{}',
  model_tpm_limit jsonb DEFAULT '{}', blocked boolean DEFAULT false, object_permission_id text, created_at timestamp(3) DEFAULT now(),
  created_by text DEFAULT 'a', updated_at timestamp(3) DEFAULT now(), updated_by text DEFAULT 'a');
CREATE TABLE "LiteLLM_UserTable" (user_id text PRIMARY KEY, user_alias text, team_id text, sso_user_id text, organization_id text,
  object_permission_id text, password text, teams text[] DEFAULT '{}', user_role text, max_budget double precision, spend double precision DEFAULT 0,
  user_email text, models text[], metadata jsonb DEFAULT '{}', max_parallel_requests int, tpm_limit bigint, rpm_limit bigint, budget_duration text,
  budget_reset_at timestamp(3), allowed_cache_controls text[] DEFAULT '{}', policies text[] DEFAULT '{}', model_spend jsonb DEFAULT '{}',
  model_max_budget jsonb DEFAULT '{}', created_at timestamp(3) DEFAULT now(), updated_at timestamp(3) DEFAULT now());
CREATE TABLE "LiteLLM_VerificationToken" (token text PRIMARY KEY, key_name text, key_alias text, soft_budget_cooldown boolean DEFAULT false,
  spend double precision DEFAULT 0, total_spend double precision DEFAULT 0, expires timestamp(3), models text[], aliases jsonb DEFAULT '{}', config jsonb DEFAULT '{}',
  router_settings jsonb DEFAULT '{}', user_id text, team_id text, agent_id text, project_id text, permissions jsonb DEFAULT '{}', max_parallel_requests int,
  metadata jsonb DEFAULT '{}', blocked boolean, tpm_limit bigint, rpm_limit bigint, max_budget double precision, budget_duration text,
  budget_reset_at timestamp(3), allowed_cache_controls text[] DEFAULT '{}', allowed_routes text[] DEFAULT '{}', policies text[] DEFAULT '{}',
  access_group_ids text[] DEFAULT '{}', model_spend jsonb DEFAULT '{}', model_max_budget jsonb DEFAULT '{}', budget_id text, organization_id text,
  object_permission_id text, created_at timestamp(3) DEFAULT now(), created_by text, updated_at timestamp(3) DEFAULT now(), updated_by text,
  last_active timestamp(3), rotation_count int DEFAULT 0, auto_rotate boolean DEFAULT false, rotation_interval text, last_rotation_at timestamp(3),
  key_rotation_at timestamp(3), budget_limits jsonb);
CREATE TABLE "LiteLLM_EndUserTable" (user_id text PRIMARY KEY, alias text, spend double precision DEFAULT 0, allowed_model_region text,
  default_model text, budget_id text, object_permission_id text, blocked boolean DEFAULT false);
CREATE TABLE "LiteLLM_TagTable" (tag_name text PRIMARY KEY, description text, models text[], model_info jsonb, spend double precision DEFAULT 0,
  budget_id text, created_at timestamp(3) DEFAULT now(), created_by text, updated_at timestamp(3) DEFAULT now());
CREATE TABLE "LiteLLM_TeamMembership" (user_id text, team_id text, spend double precision DEFAULT 0, total_spend double precision DEFAULT 0,
  budget_id text, PRIMARY KEY (user_id, team_id));
CREATE TABLE "LiteLLM_OrganizationMembership" (user_id text, organization_id text, user_role text, spend double precision DEFAULT 0, budget_id text,
  created_at timestamp(3) DEFAULT now(), updated_at timestamp(3) DEFAULT now(), PRIMARY KEY (user_id, organization_id));
CREATE TABLE "LiteLLM_DailyUserSpend" (id text PRIMARY KEY, user_id text, date text, api_key text, model text, model_group text,
  custom_llm_provider text, mcp_namespaced_tool_name text, endpoint text, prompt_tokens bigint DEFAULT 0, completion_tokens bigint DEFAULT 0,
  cache_read_input_tokens bigint DEFAULT 0, cache_creation_input_tokens bigint DEFAULT 0, spend double precision DEFAULT 0, api_requests bigint DEFAULT 0,
  successful_requests bigint DEFAULT 0, failed_requests bigint DEFAULT 0, created_at timestamp(3) DEFAULT now(), updated_at timestamp(3) DEFAULT now());
CREATE TABLE "LiteLLM_SpendLogs" (request_id text PRIMARY KEY, call_type text, spend double precision);

INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, budget_duration, allowed_models) VALUES ('org', 100, '30d', '{}'), ('member', 2, NULL, '{dyn}'), ('cust', 1, NULL, '{}');
INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, models, spend) VALUES ('acme', 'Acme', 'org', '{}', 12.5);
INSERT INTO "LiteLLM_ModelTable" (aliases) VALUES ('{"short": "dyn"}');
INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, organization_id, members_with_roles, models, max_budget, spend, model_id) VALUES
  ('red', 'Red', 'acme', '[{"role": "admin", "user_id": "boss", "user_email": null}, {"role": "user", "user_id": "ann", "user_email": "ann@acme.example"}]', '{dyn}', 50, 9.25, 1);
INSERT INTO "LiteLLM_UserTable" (user_id, user_email, user_role, password, teams, max_budget, models, spend) VALUES
  ('boss', 'boss@acme.example', 'proxy_admin', NULL, '{red}', NULL, '{}', 0), ('ann', 'ann@acme.example', 'internal_user', 'scrypt:x', '{red}', 20, '{}', 9.25);
INSERT INTO "LiteLLM_ProjectTable" (project_id, project_alias, team_id, models, spend) VALUES ('app', 'App', 'red', '{}', 1);
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, spend, total_spend, expires, models, user_id, team_id, metadata, max_budget, budget_duration, budget_reset_at, rpm_limit, created_by) VALUES
  ('690d3e562a7ccb747b924fc81ec00555e1bc524c15b5a4430e219e27c183f622', 'sk-...-ann', 'anns', 9.25, 19.25, '2099-01-01 00:00:00', '{}', 'ann', 'red', '{"note": "kept", "model_rpm_limit": {"dyn": 90}}', 10, '30d', '2099-01-01 00:00:00', 100, 'boss'),
  ('1b8c598fe4e16a17c846c419a9c4b8e2dc0a7e7a0ca48a73a487c015263c7cf4', 'sk-...pent', 'spent', 5, 5, NULL, '{}', NULL, NULL, '{}', 5, NULL, NULL, NULL, 'boss'),
  ('fd7a2b9d48c28f691d2e9d12e7b0ce30e1388b9edf3ced4676ade1bdd45b4587', 'sk-...over', 'over', 0, 0, '2020-01-01 00:00:00', '{}', NULL, NULL, '{}', NULL, NULL, NULL, NULL, 'boss');
INSERT INTO "LiteLLM_EndUserTable" (user_id, alias, spend, budget_id) VALUES ('cust1', 'Customer', 0.5, 'cust');
INSERT INTO "LiteLLM_TagTable" (tag_name, description, models, spend, budget_id) VALUES ('prod', 'Production', '{}', 3, 'org');
INSERT INTO "LiteLLM_TeamMembership" (user_id, team_id, spend, total_spend, budget_id) VALUES ('ann', 'red', 1.5, 4, 'member');
INSERT INTO "LiteLLM_OrganizationMembership" (user_id, organization_id, user_role) VALUES ('boss', 'acme', 'org_admin');
INSERT INTO "LiteLLM_CredentialsTable" (credential_id, credential_name, credential_values, credential_info) VALUES
  ('c-1', 'openai-eu', '{"api_key": "v3:gcm:oucXSS6lyahZB-JjhuFA8z9zJjcGzRpmxeofm_m98pD1O1JMe7aX4U9MWa8L0g==", "api_base": "v2:gcm:ayYKuC9FQK1Is3XqPX2BEfL89VHOOVh9BYEBs3AFlO2XkZHXxdmcAQzbeLjcHRkDsYME3w=="}', '{"custom_llm_provider": "openai"}'),
  ('c-2', 'unreadable', '{"api_key": "v3:gcm:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}', '{}');
INSERT INTO "LiteLLM_ProxyModelTable" (model_id, model_name, litellm_params, model_info, created_by) VALUES
  ('m-1', 'dyn', '{"model": "QRnkUBD7JEnp7YXL4_4yC6iXYspJOCp2Oyyx6USY8jZFk_Z-toXkG8qCNhzLwiD9Sae8j10=", "litellm_credential_name": "rcbqaWFpi99roJpQNGHzRpjdhSRaF2xk_RmzfeLhHuWtr0tQKC-2XSD4ITESZApsvQ==", "rpm": 500}', '{"id": "m-1", "db_model": true}', 'boss'),
  ('m-2', 'model_name_red_1', '{"model": "XEi_DvXtE1mDzuKg-eXAofZMKmKHlg6MnjUjqppbnC-oRmJCfM1nPhPQjSPP9d2MsZgmsm8=", "mock_response": "LVZiQD2KEUmAwmoDqOlsjzyYUAzlr7ukzz8SBX3HECp7lGoABHZOyih4hv9uvX0p87gPvsEi"}', '{"id": "m-2", "team_id": "red", "team_public_model_name": "own"}', 'lead');
INSERT INTO "LiteLLM_DailyUserSpend" (id, user_id, date, api_key, model, model_group, custom_llm_provider, prompt_tokens, completion_tokens, spend, api_requests, successful_requests, failed_requests) VALUES
  ('d-1', 'ann', '2026-11-01', '690d3e562a7ccb747b924fc81ec00555e1bc524c15b5a4430e219e27c183f622', 'gpt-4o', 'dyn', 'openai', 1000, 200, 4.5, 12, 11, 1),
  ('d-2', 'ann', '2026-11-02', '690d3e562a7ccb747b924fc81ec00555e1bc524c15b5a4430e219e27c183f622', 'gpt-4o', 'dyn', 'openai', 1100, 300, 4.75, 10, 10, 0);
INSERT INTO "LiteLLM_SpendLogs" VALUES ('r-1', 'acompletion', 0.1);
