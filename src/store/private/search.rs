use super::{Private, StoreError, releases::project};
use crate::names::{IndexName, ProjectName};
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

impl Private {
    /// Who has or had projects of these names: the name is its owner's, whether there is a release or not.
    pub async fn owners_of(&self, names: &[&ProjectName]) -> Result<Vec<(ProjectName, IndexName)>, StoreError> {
        let names = Value::from(names.iter().map(|name| name.as_str()).collect::<Vec<_>>()).to_string();
        let query = "SELECT name, index_name FROM project WHERE name IN (SELECT value FROM json_each(?))";
        let rows = sqlx::query(query).bind(names).fetch_all(&self.pool).await?;
        rows.iter().map(owned).collect()
    }

    /// Those of some projects that have a release now.
    pub async fn released(
        &self,
        projects: &[(&IndexName, &ProjectName)],
    ) -> Result<Vec<(ProjectName, IndexName)>, StoreError> {
        let pairs: Vec<_> = projects.iter().map(|(index, name)| json!([index.as_str(), name.as_str()])).collect();
        let query = "SELECT DISTINCT r.project, r.index_name FROM json_each(?) AS asked
                     JOIN release AS r ON r.index_name = asked.value ->> 0 AND r.project = asked.value ->> 1";
        let rows = sqlx::query(query).bind(Value::from(pairs).to_string()).fetch_all(&self.pool).await?;
        rows.iter().map(owned).collect()
    }
}

fn owned(row: &SqliteRow) -> Result<(ProjectName, IndexName), StoreError> {
    let index = IndexName::parse(row.try_get(1)?).map_err(|_| StoreError::Row("index"))?;
    Ok((project(row.try_get(0)?)?, index))
}
