//! What the server draws from the system's chance: its secret, and the seed of all that is not secret.

use std::sync::Arc;

use crate::store::Store;
use crate::store::StoreError;
use crate::store::change::Change;
use crate::store::change::Resource;

/// Returns the server's secret; makes it when the store is new.
pub(super) fn of(store: &dyn Store) -> Result<[u8; 32], StoreError> {
    let key: Arc<str> = Arc::from("token");
    if let Some(found) = store.resources("secret")?.into_iter().find(|found| found.key == key) {
        let bytes: Vec<u8> = serde_json::from_value(found.value)
            .map_err(|error| StoreError::Damaged(format!("the server's secret: {error}").into()))?;
        return bytes
            .try_into()
            .map_err(|_| StoreError::Damaged("the server's secret has another length".into()));
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| StoreError::Open(error.to_string().into()))?;
    let resource = Resource {
        kind: "secret",
        key,
        value: serde_json::json!(secret),
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    store.submit(
        vec![Change::PutResource(resource)],
        Box::new(move |result| {
            let _ = sender.send(result);
        }),
    );
    receiver
        .recv()
        .unwrap_or_else(|_| Err(StoreError::Stopped("the writer has ended".into())))?;
    Ok(secret)
}

/// Returns bits that nobody can foresee.
pub(super) fn random_u64() -> Result<u64, StoreError> {
    getrandom::u64().map_err(|error| StoreError::Open(error.to_string().into()))
}
