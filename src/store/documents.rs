use super::{Store, StoreError};
use crate::names::{IndexName, Sha256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// Something that upstream said, as we keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Unix seconds of the last full answer; a 304 leaves it.
    pub fetched: u64,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub last_serial: Option<u64>,
    /// Of `body`, so that an equal answer is seen without comparing.
    pub digest: Sha256,
    /// The address that it came from, after redirects.
    pub url: String,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// A project's page.
    Page,
    /// The answer of the legacy JSON API; the name is `project` or `project/version`.
    LegacyJson,
    /// The list of all projects: the bodies are files, the row holds their facts; the name is empty.
    List,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentKey {
    pub index: IndexName,
    pub kind: DocumentKind,
    pub name: Arc<str>,
}

/// Level of zstd for rows: pages shrink to a tenth at 300 MB/s; higher levels gain a few percent for five times the work.
const ROW_ZSTD_LEVEL: i32 = 3;

/// A body as it lies in the database.
pub struct Packed(Vec<u8>);

impl Packed {
    /// About how many bytes it unpacks to: pages shrink to a sixth.
    pub fn about(&self) -> usize {
        self.0.len() * 6
    }

    /// The body, unpacked while it is read.
    pub fn read(&self) -> io::Result<impl Read + '_> {
        zstd::stream::read::Decoder::with_buffer(self.0.as_slice())
    }
}

/// Packs a body while it is written.
pub struct Packer(zstd::stream::write::Encoder<'static, Vec<u8>>);

impl Packer {
    pub fn new() -> io::Result<Self> {
        zstd::stream::write::Encoder::new(Vec::new(), ROW_ZSTD_LEVEL).map(Self)
    }

    pub fn finish(self) -> io::Result<Packed> {
        self.0.finish().map(Packed)
    }
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Store {
    /// The document, if it is stored; a row that cannot be read is no document, so that it is fetched again.
    pub async fn document(&self, key: &DocumentKey) -> Result<Option<Document>, StoreError> {
        let Some((document, packed)) = self.packed_document(key).await? else { return Ok(None) };
        match off_the_worker(move || zstd::stream::decode_all(packed.0.as_slice())).await {
            Ok(body) => Ok(Some(Document { body, ..document })),
            Err(why) => unreadable(key, why),
        }
    }

    /// The same with its body as it lies in the database, to be read in pieces; the document's own is empty.
    pub async fn packed_document(&self, key: &DocumentKey) -> Result<Option<(Document, Packed)>, StoreError> {
        let row = sqlx::query(
            "SELECT fetched, etag, last_modified, last_serial, digest, url, body FROM document
             WHERE index_name = ? AND kind = ? AND name = ?",
        )
        .bind(key.index.as_str())
        .bind(key.kind.as_str())
        .bind(&*key.name)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        match document(&row) {
            Ok((document, packed)) => Ok(Some((document, Packed(packed)))),
            Err(why) => unreadable(key, why),
        }
    }

    /// Writes a document in place of an older one: one row, one transaction.
    pub async fn put_document(&self, key: &DocumentKey, mut document: Document) -> Result<(), StoreError> {
        let plain = std::mem::take(&mut document.body);
        // As a stream: it needs room for what comes out, not for the worst case.
        let body = off_the_worker(move || zstd::stream::encode_all(plain.as_slice(), ROW_ZSTD_LEVEL)).await?;
        self.put_packed(key, document, Packed(body)).await
    }

    /// The same with the body as a [`Packer`] made it; the document's own is not looked at.
    pub async fn put_packed(&self, key: &DocumentKey, document: Document, body: Packed) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        sqlx::query(
            "INSERT OR REPLACE INTO document
             (index_name, kind, name, fetched, etag, last_modified, last_serial, digest, url, body)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(key.index.as_str())
        .bind(key.kind.as_str())
        .bind(&*key.name)
        .bind(document.fetched as i64)
        .bind(&document.etag)
        .bind(&document.last_modified)
        .bind(document.last_serial.map(|serial| serial as i64))
        .bind(document.digest.as_bytes().as_slice())
        .bind(&document.url)
        .bind(body.0)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets all that was said of an index, and where its metadata lies.
    pub async fn forget_index(&self, index: &IndexName) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        for query in [
            "DELETE FROM document WHERE index_name = ?",
            "DELETE FROM metadata WHERE index_name = ?",
            "DELETE FROM unhashed WHERE index_name = ?",
            "DELETE FROM address WHERE index_name = ?",
            "DELETE FROM known WHERE index_name = ?",
            "DELETE FROM listed WHERE index_name = ?",
        ] {
            sqlx::query(query).bind(index.as_str()).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Forgets documents and what pages for people show of them, in one transaction.
    pub async fn forget_documents(&self, keys: &[DocumentKey]) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut transaction = self.pool.begin().await?;
        for key in keys {
            sqlx::query("DELETE FROM document WHERE index_name = ? AND kind = ? AND name = ?")
                .bind(key.index.as_str())
                .bind(key.kind.as_str())
                .bind(&*key.name)
                .execute(&mut *transaction)
                .await?;
            if key.kind == DocumentKind::Page {
                sqlx::query("DELETE FROM known WHERE index_name = ? AND project = ?")
                    .bind(key.index.as_str())
                    .bind(&*key.name)
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        Ok(transaction.commit().await?)
    }

    /// The keys of all documents that are stored.
    pub async fn document_keys(&self) -> Result<Vec<DocumentKey>, StoreError> {
        let rows = sqlx::query("SELECT index_name, kind, name FROM document").fetch_all(&self.pool).await?;
        let read = |row: &SqliteRow| {
            let kind: &str = row.try_get(1)?;
            let kinds = [DocumentKind::Page, DocumentKind::LegacyJson, DocumentKind::List];
            let kind = kinds.into_iter().find(|known| known.as_str() == kind).ok_or(StoreError::Row("kind"))?;
            let index = IndexName::parse(row.try_get(0)?).map_err(|_| StoreError::Row("index_name"))?;
            Ok(DocumentKey { index, kind, name: row.try_get::<&str, _>(2)?.into() })
        };
        rows.iter().map(read).collect()
    }

    /// The names of the documents of a kind, sorted.
    pub async fn document_names(&self, index: &IndexName, kind: DocumentKind) -> Result<Vec<String>, StoreError> {
        let query = "SELECT name FROM document WHERE index_name = ? AND kind = ? ORDER BY name";
        Ok(sqlx::query_scalar(query).bind(index.as_str()).bind(kind.as_str()).fetch_all(&self.pool).await?)
    }
}

impl DocumentKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::LegacyJson => "json",
            Self::List => "list",
        }
    }
}

/// A row that cannot be read is none.
fn unreadable<T>(key: &DocumentKey, why: StoreError) -> Result<Option<T>, StoreError> {
    match why {
        StoreError::Row(what) => {
            tracing::warn!(index = %key.index, name = %key.name, what, "a stored document cannot be read");
            Ok(None)
        }
        why => Err(why),
    }
}

/// A large page takes tens of milliseconds to pack.
async fn off_the_worker(
    work: impl FnOnce() -> std::io::Result<Vec<u8>> + Send + 'static,
) -> Result<Vec<u8>, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(bytes)) => Ok(bytes),
        _ => Err(StoreError::Row("body")),
    }
}

/// The row but for its body, and the body as it is packed.
fn document(row: &SqliteRow) -> Result<(Document, Vec<u8>), StoreError> {
    let digest: Vec<u8> = row.try_get(4)?;
    let document = Document {
        fetched: row.try_get::<i64, _>(0)? as u64,
        etag: row.try_get(1)?,
        last_modified: row.try_get(2)?,
        last_serial: row.try_get::<Option<i64>, _>(3)?.map(|serial| serial as u64),
        digest: super::blobs::digest(&digest)?,
        url: row.try_get(5)?,
        body: Vec::new(),
    };
    Ok((document, row.try_get(6)?))
}
