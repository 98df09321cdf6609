//! Members of teams and organizations.

use gatewright_admin::membership;
use gatewright_store::{Error as StoreError, ForeignTable, Kind, Parents, Scope, member_id};
use serde_json::Value;

use super::{Import, Row};

const OF_TEAMS: ForeignTable = ForeignTable { name: "LiteLLM_TeamMembership", key: &["user_id", "team_id"] };
const OF_ORGANIZATIONS: ForeignTable =
    ForeignTable { name: "LiteLLM_OrganizationMembership", key: &["user_id", "organization_id"] };

/// Somebody in a team or an organization.
struct Member {
    kind: Kind,
    of: String,
    user: String,
    budget: Option<String>,
    role: Option<Value>,
}

impl Import {
    /// Those with a row of their own, which has their budget, then those that only the team names.
    pub(super) async fn memberships(&mut self) -> Result<(), StoreError> {
        self.each(OF_TEAMS, async |import, rows| {
            let mut balances = Vec::new();
            for row in rows {
                let (Some(team), Some(user)) = (text(&row, "team_id"), text(&row, "user_id")) else {
                    continue;
                };
                balances.extend(import.balance(Scope::Member, &member_id(&user, &team), &row));
                let budget = text(&row, "budget_id");
                import.member(Member { kind: Kind::Team, of: team, user, budget, role: None }).await?;
            }
            import.carry(&balances).await
        })
        .await?;
        let rest: Vec<(String, String)> = self.seen.members.keys().cloned().collect();
        for (team, user) in rest {
            self.member(Member { kind: Kind::Team, of: team, user, budget: None, role: None }).await?;
        }
        self.each(OF_ORGANIZATIONS, async |import, rows| {
            for row in rows {
                let (Some(of), Some(user)) = (text(&row, "organization_id"), text(&row, "user_id")) else {
                    continue;
                };
                let role = row.get("user_role").cloned();
                let budget = text(&row, "budget_id");
                import.member(Member { kind: Kind::Organization, of, user, budget, role }).await?;
            }
            Ok(())
        })
        .await
    }

    async fn member(&mut self, member: Member) -> Result<(), StoreError> {
        let Member { kind, of, user, budget, role } = member;
        let named = match kind {
            Kind::Team => self.seen.members.remove(&(of.clone(), user.clone())),
            _ => None,
        };
        let (of_team, email) = named.unwrap_or_default();
        let role = role.unwrap_or(of_team);
        let mut draft = self
            .adopt(Kind::Membership, &Row::from_iter([("role".into(), role), ("user_email".into(), email)]));
        let id = membership(kind, &of, &user);
        let parents = Parents { user: Some(user), budget, ..Parents::default() };
        draft.parents = match kind {
            Kind::Team => Parents { team: Some(of), ..parents },
            _ => Parents { organization: Some(of), ..parents },
        };
        self.put(Kind::Membership, &id, draft).await
    }
}

fn text(row: &Row, name: &str) -> Option<String> {
    row.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
