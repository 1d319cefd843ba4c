//! `kind = "credentials"`: the credentials that systemd gives to the unit of this process.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;

use crate::secret::reference::Reference;
use crate::secret::source::Source;
use crate::secret::source::file;
use crate::secret::source::file::Rule;
use crate::secret::source::own_keys;
use crate::secret::source::without_field;
use crate::secret::value::Secret;

/// Where systemd says that they are.
const VARIABLE: &str = "CREDENTIALS_DIRECTORY";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default = "file::yes")]
    trim: bool,
}

struct Credentials {
    directory: Option<PathBuf>,
    trim: bool,
}

pub(super) fn read(keys: toml::Table, _: &Path) -> Result<Arc<dyn Source>, String> {
    let keys: Keys = own_keys(keys)?;
    Ok(Arc::new(Credentials {
        directory: std::env::var_os(VARIABLE).map(PathBuf::from),
        trim: keys.trim,
    }))
}

/// A credential's name has no `/`.
fn file_name(reference: &Reference) -> String {
    reference.name().replace('/', ".")
}

#[async_trait]
impl Source for Credentials {
    async fn get(&self, reference: &Reference) -> Result<Secret, String> {
        without_field(reference)?;
        let Some(directory) = self.directory.clone() else {
            return Err(format!(
                "`{VARIABLE}` is not set: this process is no unit with credentials"
            ));
        };
        let (name, trim) = (file_name(reference), self.trim);
        let read = tokio::task::spawn_blocking(move || file::read_file(&directory, &name, Rule::OwnerWrites, trim));
        read.await.map_err(|error| error.to_string())?
    }

    fn place(&self, reference: &Reference) -> String {
        format!("the credential `{}` of this process's unit", file_name(reference))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_systemd_there_are_none() {
        let source = Credentials {
            directory: None,
            trim: true,
        };
        let reference = Reference::named("db/password").unwrap();
        let why = source.get(&reference).await.err().unwrap();
        assert!(why.contains("`CREDENTIALS_DIRECTORY` is not set"), "{why}");
        assert_eq!(
            source.place(&reference),
            "the credential `db.password` of this process's unit"
        );
    }
}
