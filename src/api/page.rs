//! Page tokens: opaque, bound to their query, good for a day.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Hmac;
use hmac::Mac;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;
use sha2::Sha256;

use crate::api::Api;
use crate::api::error::Answer;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::model::timestamp::Timestamp;

/// How long a token is good, in milliseconds.
const LIFE_MILLIS: u64 = 24 * 60 * 60 * 1000;
const CODE_BYTES: usize = 16;

impl Api {
    /// Makes a token that leads behind `cursor` in the list that `request` asked for.
    pub fn page_token(&self, operation: &str, request: &Request, cursor: &impl Serialize) -> String {
        let body = serde_json::to_vec(&(self.host.now(), cursor)).expect("cursors are made of plain members");
        let mut bytes = self.code(operation, request, &body);
        bytes.extend(body);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the request's token; `None` when it has none.
    ///
    /// # Errors
    /// `InvalidToken`: it was not made for this query, or is too old.
    pub fn cursor<T: DeserializeOwned>(&self, operation: &str, request: &Request) -> Result<Option<T>, ApiError> {
        let Some(token) = request.text("nextToken") else {
            return Ok(None);
        };
        let invalid = || ApiError::new("InvalidToken", "Invalid Token: 'Invalid token'");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
        let (code, body) = bytes.split_at_checked(CODE_BYTES).ok_or_else(invalid)?;
        let (made, cursor): (Timestamp, T) = match self.code(operation, request, body) == code {
            true => serde_json::from_slice(body).map_err(|_| invalid())?,
            false => return Err(invalid()),
        };
        if made.plus_millis(LIFE_MILLIS) < self.host.now() {
            return Err(invalid());
        }
        Ok(Some(cursor))
    }

    /// Answers with one page of a list in memory: `rows` come in the order of their keys.
    ///
    /// # Errors
    /// `InvalidToken`.
    pub fn list<K, R>(
        &self,
        operation: &str,
        request: &Request,
        member: &str,
        rows: impl Iterator<Item = (K, R)>,
        show: impl Fn(&R) -> Value,
    ) -> Answer
    where
        K: Ord + Serialize + DeserializeOwned,
    {
        let after = self.cursor::<K>(operation, request)?;
        let mut rows = rows.skip_while(|(key, _)| after.as_ref().is_some_and(|after| key <= after));
        let page: Vec<(K, R)> = rows.by_ref().take(request.page_size()).collect();
        let mut answer = Map::new();
        let items = page.iter().map(|(_, row)| show(row)).collect();
        answer.insert(member.to_owned(), Value::Array(items));
        if let (Some(_), Some((last, _))) = (rows.next(), page.last()) {
            let token = self.page_token(operation, request, last);
            answer.insert("nextToken".to_owned(), Value::from(token));
        }
        Ok(Value::Object(answer))
    }

    fn code(&self, operation: &str, request: &Request, body: &[u8]) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.host.page_secret()).expect("a key may have any length");
        mac.update(operation.as_bytes());
        mac.update(b"\0");
        mac.update(request.query().as_bytes());
        mac.update(b"\0");
        mac.update(body);
        mac.finalize().into_bytes()[..CODE_BYTES].to_vec()
    }
}
