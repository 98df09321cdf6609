//! Answers that can be gone on from, until their time is over.

use std::time::Duration;

use crate::moment::micros;
use crate::{Result, Store};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// Whose it is.
    pub owner: String,
    /// Its id.
    pub id: String,
    /// The deployment that gave it.
    pub deployment: String,
    /// What it answers, and the answer, as JSON; `None` where the deployment's upstream keeps them.
    pub conversation: Option<(String, String)>,
}

impl Store {
    /// The answer of this id, if it is this owner's.
    pub async fn response(&self, owner: &str, id: &str) -> Result<Option<StoredResponse>> {
        let now = micros(self.clock().wall());
        let work = async {
            let transaction = self.read().await?;
            let sql = "SELECT deployment, input, response FROM responses \
                WHERE owner = $1 AND id = $2 AND expires_at > $3";
            let row = transaction.row(sql, vec![owner.into(), id.into(), now.into()]).await?;
            transaction.commit().await?;
            let Some(row) = row else { return Ok(None) };
            let (input, response): (Option<String>, Option<String>) = (row.at(1)?, row.at(2)?);
            Ok(Some(StoredResponse {
                owner: owner.to_owned(),
                id: id.to_owned(),
                deployment: row.at(0)?,
                conversation: input.zip(response),
            }))
        };
        self.database().in_time(work).await
    }

    /// Keeps an answer for so long, and lets go of those whose time is over.
    pub async fn keep_response(&self, kept: &StoredResponse, lifetime: Duration) -> Result<()> {
        let now = self.clock().wall();
        let ends = now.checked_add(lifetime).map_or(i64::MAX, micros);
        let (input, response) = kept.conversation.clone().unzip();
        let work = async {
            let transaction = self.write().await?;
            transaction.run("DELETE FROM responses WHERE expires_at <= $1", vec![micros(now).into()]).await?;
            let sql = "INSERT INTO responses (owner, id, deployment, input, response, expires_at) \
                VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (owner, id) DO UPDATE SET \
                deployment = excluded.deployment, input = excluded.input, response = excluded.response, \
                expires_at = excluded.expires_at";
            let values = vec![
                kept.owner.as_str().into(),
                kept.id.as_str().into(),
                kept.deployment.as_str().into(),
                input.into(),
                response.into(),
                ends.into(),
            ];
            transaction.run(sql, values).await?;
            transaction.commit().await
        };
        self.database().in_time(work).await
    }

    /// Forgets an answer, if it is this owner's.
    pub async fn forget_response(&self, owner: &str, id: &str) -> Result<()> {
        let work = async {
            let transaction = self.write().await?;
            let sql = "DELETE FROM responses WHERE owner = $1 AND id = $2";
            transaction.run(sql, vec![owner.into(), id.into()]).await?;
            transaction.commit().await
        };
        self.database().in_time(work).await
    }
}
