//! Servers that give tokens: `client_credentials` (RFC 6749), token exchange (RFC 8693), revocation (RFC 7009).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::Url;
use reqwest::header::ACCEPT;
use reqwest::header::AUTHORIZATION;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;
use secrecy::SecretSlice;
use serde::Deserialize;
use zeroize::Zeroize;
use zeroize::Zeroizing;

use crate::identity::token::grant::Flow;
use crate::identity::token::grant::Grant;
use crate::identity::token::grant::Provider;
use crate::identity::token::issuer;
use crate::worker::action::http_request::exchange::Answer;
use crate::worker::action::http_request::exchange::Ask;
use crate::worker::action::http_request::exchange::Client;

/// How long one request may take.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A server, and who stepfn is there.
pub struct Server {
    client: Client,
    authorization: HeaderValue,
}

/// What a server is asked at.
#[derive(Debug)]
pub struct Endpoints {
    /// For tokens.
    pub token: String,
    /// To give them back, if it takes them.
    pub revocation: Option<String>,
    /// How it calls itself in tokens for it.
    pub audience: String,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
}

/// What a server answers; the rest does not count.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    token_type: String,
}

impl Drop for Given {
    fn drop(&mut self) {
        self.access_token.zeroize();
    }
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Server {
    /// Makes one for a client with its secret.
    ///
    /// # Errors
    /// No TLS can be set up, or the secret is no text: a fragment of a sentence.
    pub async fn new(provider: &Provider, secret: SecretSlice<u8>) -> Result<Self, String> {
        let client = Client::new(provider.ca_file.clone()).await;
        let client = client.map_err(|error| trimmed(&error.cause.unwrap_or_default()))?;
        let secret = std::str::from_utf8(secret.expose_secret());
        let secret = secret.map_err(|_| "the secret of the client is no text")?;
        // Both are escaped first: RFC 6749, section 2.3.1.
        let pair = Zeroizing::new(format!("{}:{}", *escaped(&provider.client_id), *escaped(secret)));
        let header = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        let mut authorization = HeaderValue::from_str(&header).map_err(|_| "the secret of the client is no text")?;
        authorization.set_sensitive(true);
        Ok(Self { client, authorization })
    }

    /// Finds out where to ask.
    ///
    /// # Errors
    /// The discovery document cannot be had or says something else: a fragment of a sentence.
    pub async fn endpoints(&self, provider: &Provider) -> Result<Endpoints, String> {
        if let Some(token) = &provider.token_endpoint {
            return Ok(Endpoints {
                token: token.clone(),
                revocation: provider.revocation_endpoint.clone(),
                audience: token.clone(),
            });
        }
        let name = provider.issuer.as_deref().unwrap_or_default();
        let url = format!("{}{}", name.trim_end_matches('/'), issuer::DISCOVERY_PATH);
        let answer = self.send(Method::GET, &url, HeaderMap::new(), None).await?;
        let found = serde_json::from_slice::<Discovery>(&answer.body);
        let found = found.map_err(|_| format!("`{url}` is no discovery document"))?;
        // Another issuer could be made to stand there (OpenID Connect Discovery, section 4.3).
        if found.issuer != name {
            return Err(format!("`{url}` is of another issuer"));
        }
        let is_safe = |url: &String| url.starts_with("https://") || name.starts_with("http://");
        if !is_safe(&found.token_endpoint) || !found.revocation_endpoint.iter().all(is_safe) {
            return Err(format!("`{url}` names endpoints without TLS"));
        }
        Ok(Endpoints {
            token: found.token_endpoint,
            revocation: provider.revocation_endpoint.clone().or(found.revocation_endpoint),
            audience: found.issuer,
        })
    }

    /// Asks for a token; `tokens` are those of an exchange, by the names of their fields.
    ///
    /// # Errors
    /// None is given: a fragment of a sentence, without what the server said but its error's name.
    pub async fn ask(
        &self,
        endpoint: &str,
        row: &Grant,
        tokens: Vec<(&'static str, SecretSlice<u8>)>,
    ) -> Result<SecretSlice<u8>, String> {
        let mut form = Form::new();
        match row.flow {
            Flow::TokenExchange => {
                form.add("grant_type", TOKEN_EXCHANGE);
                form.add("subject_token_type", JWT);
                form.add("actor_token_type", JWT);
                form.add("requested_token_type", ACCESS_TOKEN);
            }
            Flow::ClientCredentials | Flow::Issue => form.add("grant_type", "client_credentials"),
        }
        for (name, token) in &tokens {
            form.add(name, std::str::from_utf8(token.expose_secret()).unwrap_or_default());
        }
        if let Some(audience) = &row.audience {
            // A URI is a `resource` (RFC 8707), any other name an `audience`.
            let is_uri = audience.contains("://") || audience.starts_with("urn:");
            form.add(if is_uri { "resource" } else { "audience" }, audience);
        }
        if let Some(scope) = &row.scope {
            form.add("scope", scope);
        }
        let mut answer = self.post(endpoint, form).await?;
        let body = Zeroizing::new(std::mem::take(&mut answer.body));
        if !answer.status.is_success() {
            let refused = serde_json::from_slice::<Refused>(&body).ok();
            let is_plain = |error: &String| {
                error.len() <= 64 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            };
            let name = refused.map(|refused| refused.error).filter(is_plain);
            let name = name.map_or_else(String::new, |name| format!(" and the error `{name}`"));
            return Err(format!(
                "`{endpoint}` answered with the status {}{name}",
                answer.status.as_u16()
            ));
        }
        let given = serde_json::from_slice::<Given>(&body);
        let given = given.map_err(|_| format!("`{endpoint}` answered without an `access_token`"))?;
        // Any other kind cannot be used by showing it alone.
        if !given.token_type.eq_ignore_ascii_case("bearer") && row.flow != Flow::TokenExchange {
            return Err(format!("`{endpoint}` gave a token that is no bearer token"));
        }
        let token = &given.access_token;
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("`{endpoint}` gave what cannot be a token"));
        }
        Ok(SecretSlice::from(token.as_bytes().to_vec()))
    }

    /// Gives a token back.
    ///
    /// # Errors
    /// The server does not take it: a fragment of a sentence.
    pub async fn revoke(&self, endpoint: &str, token: &SecretSlice<u8>) -> Result<(), String> {
        let mut form = Form::new();
        form.add("token", std::str::from_utf8(token.expose_secret()).unwrap_or_default());
        form.add("token_type_hint", "access_token");
        let answer = self.post(endpoint, form).await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(format!(
                "`{endpoint}` answered with the status {}",
                answer.status.as_u16()
            )),
        }
    }

    async fn post(&self, endpoint: &str, form: Form) -> Result<Answer, String> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        self.send(Method::POST, endpoint, headers, Some(form.0.as_bytes().to_vec()))
            .await
    }

    async fn send(
        &self,
        method: Method,
        endpoint: &str,
        headers: HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, String> {
        let url = Url::parse(endpoint).map_err(|_| format!("`{endpoint}` is no URL"))?;
        let ask = Ask {
            method,
            url,
            headers,
            body,
            redirects_max: 0,
            body_bytes_max: ANSWER_BYTES_MAX,
        };
        match tokio::time::timeout(REQUEST_TIME_MAX, self.client.send(ask)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(trimmed(&error.cause.unwrap_or_default())),
            Err(_) => Err(format!("`{endpoint}` did not answer in time")),
        }
    }
}

/// What a form holds, escaped.
struct Form(Zeroizing<String>);

impl Form {
    fn new() -> Self {
        Self(Zeroizing::default())
    }

    fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&escaped(value));
    }
}

/// Escapes a text for a form: what `issuer::escape` leaves as it is is safe there, too.
fn escaped(text: &str) -> Zeroizing<String> {
    Zeroizing::new(issuer::escape(text))
}

fn trimmed(sentence: &str) -> String {
    sentence.trim_end_matches('.').to_owned()
}
