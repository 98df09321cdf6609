//! Members of teams and organizations.

use gatewright_admin::membership;
use gatewright_store::{CarriedBalance, Error as StoreError, ForeignTable, Kind, Scope, member_id};
use serde_json::Value;

use super::put::Brought;
use super::rows::UNFIT;
use super::{Import, PAGE, Row};

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
            let mut members = Vec::new();
            for row in rows {
                let (Some(team), Some(user)) = (text(&row, "team_id"), text(&row, "user_id")) else {
                    continue;
                };
                let balance = import.balance(Scope::Member, &member_id(&user, &team), &row);
                let budget = text(&row, "budget_id");
                let member = Member { kind: Kind::Team, of: team, user, budget, role: None };
                match balance {
                    Err(column) => import.refuse(Kind::Membership, &member.id(), UNFIT, column),
                    Ok(balance) => members.extend(import.member(member, balance)),
                }
            }
            import.put(Kind::Membership, &members).await
        })
        .await?;
        let rest: Vec<(String, String)> = self.seen.members.keys().cloned().collect();
        for rest in rest.chunks(PAGE.into()) {
            let members = rest.iter().cloned().filter_map(|(of, user)| {
                self.member(Member { kind: Kind::Team, of, user, budget: None, role: None }, None)
            });
            let members: Vec<Brought> = members.collect();
            self.put(Kind::Membership, &members).await?;
        }
        self.each(OF_ORGANIZATIONS, async |import, rows| {
            let mut members = Vec::new();
            for row in rows {
                let (Some(of), Some(user)) = (text(&row, "organization_id"), text(&row, "user_id")) else {
                    continue;
                };
                let role = row.get("user_role").cloned();
                let budget = text(&row, "budget_id");
                let member = Member { kind: Kind::Organization, of, user, budget, role };
                members.extend(import.member(member, None));
            }
            import.put(Kind::Membership, &members).await
        })
        .await
    }

    /// What a member will be here; nothing where it cannot be brought.
    fn member(&mut self, member: Member, balance: Option<CarriedBalance>) -> Option<Brought> {
        let id = member.id();
        let Member { kind, of, user, budget, role } = member;
        let named = match kind {
            Kind::Team => self.seen.members.remove(&(of.clone(), user.clone())),
            _ => None,
        };
        let (of_team, email) = named.unwrap_or_default();
        let row = Row::from_iter([
            ("role".into(), role.unwrap_or(of_team)),
            ("user_email".into(), email),
            ("user_id".into(), user.into()),
            ("budget_id".into(), budget.into()),
            (if kind == Kind::Team { "team_id" } else { "organization_id" }.into(), of.into()),
        ]);
        let draft = self.adopt(Kind::Membership, &id, &row)?;
        Some(Brought { id, draft, balance })
    }
}

// === impl Member ===

impl Member {
    fn id(&self) -> String {
        membership(self.kind, &self.of, &self.user)
    }
}

fn text(row: &Row, name: &str) -> Option<String> {
    row.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
