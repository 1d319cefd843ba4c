use std::sync::Mutex;

use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use ring::signature::EcdsaKeyPair;
use ring::signature::KeyPair;
use serde_json::json;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;

use super::*;

const NOW: Timestamp = Timestamp(1_795_543_140_000);
const SECONDS: i64 = 1_795_543_140;
const AUDIENCE: &str = "stepfn";

/// What the provider answers, and how often it was asked for its keys.
#[derive(Default)]
struct Answers {
    keys: Vec<Value>,
    status: Option<u16>,
    issuer: Option<String>,
    padding: usize,
    n_asked: usize,
}

/// A provider on this machine, for as long as the test runs.
struct Provider {
    issuer: String,
    answers: Arc<Mutex<Answers>>,
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/realm", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(Answers::default()));
        let (for_requests, own) = (Arc::clone(&answers), issuer.clone());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut lines = BufReader::new(&mut stream).lines();
                let line = lines.next_line().await.unwrap().unwrap_or_default();
                while lines.next_line().await.unwrap().is_some_and(|line| !line.is_empty()) {}
                let (status, body) = answer(&mut for_requests.lock().unwrap(), &own, &line);
                let length = body.len();
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                // Whoever does not like the answer closes before its end.
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        Self { issuer, answers }
    }

    fn show(&self, keys: &[&SignKey]) {
        self.answers.lock().unwrap().keys = keys.iter().map(|key| key.public()).collect();
    }

    fn change(&self, change: impl Fn(&mut Answers)) {
        change(&mut self.answers.lock().unwrap());
    }

    fn n_asked(&self) -> usize {
        self.answers.lock().unwrap().n_asked
    }

    fn verifier(&self) -> Verifier {
        Verifier::new(vec![self.configured()]).unwrap()
    }

    fn configured(&self) -> Issuer {
        Issuer {
            issuer: self.issuer.clone(),
            audience: AUDIENCE.to_owned(),
            algorithms: algorithms(),
            name_claim: name_claim(),
            users: BTreeMap::new(),
        }
    }

    fn claims(&self) -> Value {
        json!({"iss": self.issuer, "aud": AUDIENCE, "sub": "alice", "exp": SECONDS + 60, "iat": SECONDS, "team": ["a"]})
    }
}

fn answer(answers: &mut Answers, own: &str, line: &str) -> (u16, String) {
    if let Some(status) = answers.status {
        answers.n_asked += 1;
        return (status, String::new());
    }
    match line {
        "GET /realm/.well-known/openid-configuration HTTP/1.1" => {
            let issuer = answers.issuer.as_deref().unwrap_or(own);
            (
                200,
                json!({"issuer": issuer, "jwks_uri": format!("{own}/keys")}).to_string(),
            )
        }
        "GET /realm/keys HTTP/1.1" => {
            answers.n_asked += 1;
            let padding = " ".repeat(answers.padding);
            (200, json!({"keys": answers.keys}).to_string() + &padding)
        }
        _ => (404, String::new()),
    }
}

struct SignKey {
    id: String,
    pair: EcdsaKeyPair,
    chance: SystemRandom,
}

impl SignKey {
    fn new(id: &str) -> Self {
        let chance = SystemRandom::new();
        let how = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(how, &chance).unwrap();
        Self {
            id: id.to_owned(),
            pair: EcdsaKeyPair::from_pkcs8(how, document.as_ref(), &chance).unwrap(),
            chance,
        }
    }

    fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let text = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        json!({"kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "alg": "ES256", "x": text(x), "y": text(y)})
    }

    fn header(&self) -> Value {
        json!({"alg": "ES256", "typ": "at+jwt", "kid": self.id})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        token(header, claims, |message| {
            self.pair.sign(&self.chance, message).unwrap().as_ref().to_vec()
        })
    }
}

fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", text(header), text(claims));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn told(result: Result<(Principal, Map<String, Value>), Refusal>) -> String {
    match result {
        Ok((principal, _)) => format!("taken: {}", principal.name),
        Err(refusal) => {
            assert!(refusal.message.ends_with('.'), "{refusal}");
            refusal.to_string()
        }
    }
}

#[tokio::test]
async fn a_token_says_who_it_is() {
    let (provider, key) = (Provider::start().await, SignKey::new("k1"));
    provider.show(&[&key]);
    let verifier = provider.verifier();
    let token = key.sign(&key.header(), &provider.claims());
    let (principal, claims) = verifier.verify(&token, NOW).await.unwrap();
    assert_eq!(
        (principal.name.as_ref(), principal.kind),
        ("alice", PrincipalKind::Oidc)
    );
    assert_eq!(principal.issuer.as_deref(), Some(provider.issuer.as_str()));
    assert_eq!((principal.subject.as_deref(), principal.uid), (Some("alice"), None));
    assert_eq!(claims["team"], json!(["a"]));
    verifier.verify(&token, NOW).await.unwrap();
    assert_eq!(provider.n_asked(), 1);

    let me = nix::unistd::User::from_uid(nix::unistd::Uid::effective())
        .unwrap()
        .unwrap();
    let mut issuer = provider.configured();
    issuer.name_claim = "email".to_owned();
    issuer.users = BTreeMap::from([
        ("a@example.com".to_owned(), me.name.clone()),
        ("b@example.com".to_owned(), "no-such-user".to_owned()),
    ]);
    let verifier = Verifier::new(vec![issuer]).unwrap();
    let mut claims = provider.claims();
    let mut of = async |email: &str| {
        claims["email"] = json!(email);
        verifier.verify(&key.sign(&key.header(), &claims), NOW).await
    };
    let (principal, _) = of("a@example.com").await.unwrap();
    assert_eq!(
        (principal.name.as_ref(), principal.uid),
        (me.name.as_str(), Some(me.uid.as_raw()))
    );
    assert_eq!(principal.subject.as_deref(), Some("alice"));
    assert!(told(of("b@example.com").await).starts_with("AccessDeniedException"));
    assert_eq!(told(of("c@example.com").await), "taken: c@example.com");
    for name in ["", "a\nroot", &"x".repeat(256)] {
        assert!(told(of(name).await).contains("`email` must be a text"), "{name}");
    }
}

#[tokio::test]
async fn forged_and_stray_tokens_are_refused() {
    let (provider, key, other) = (Provider::start().await, SignKey::new("k1"), SignKey::new("k1"));
    provider.show(&[&key]);
    let verifier = provider.verifier();
    let (header, claims) = (key.header(), provider.claims());
    let with = |value: &Value, name: &str, new: Value| {
        let mut value = value.clone();
        value[name] = new;
        value
    };
    let signed = |name: &str, new: Value| key.sign(&header, &with(&claims, name, new));
    let headed = |name: &str, new: Value| key.sign(&with(&header, name, new), &claims);
    let good = key.sign(&header, &claims);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let point = key.pair.public_key().as_ref().to_vec();
    let public_text = key.public().to_string();
    let with_public_key = |secret: &[u8]| {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        token(&with(&header, "alg", json!("HS256")), &claims, |message| {
            hmac::sign(&secret, message).as_ref().to_vec()
        })
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        key.sign(&header, &claims)
    };
    let not_allowed = "UnrecognizedClientException: The token is signed in a way that is not allowed for its issuer.";
    let no_token = "UnrecognizedClientException: The bearer token is not a signed JSON Web Token.";
    let wrong = "UnrecognizedClientException: The token's signature is wrong.";
    let stray = "UnrecognizedClientException: The token is not for this server: its `aud` is another one.";
    let future = "UnrecognizedClientException: The token is of the future";
    let unknown = "UnrecognizedClientException: The token is signed with a key that its issuer does not show.";
    let rows: Vec<(&str, String, &str)> = vec![
        ("good", good.clone(), "taken: alice"),
        ("alg none", headed("alg", json!("none")), not_allowed),
        (
            "alg none, unsigned",
            token(&with(&header, "alg", json!("none")), &claims, |_| Vec::new()),
            not_allowed,
        ),
        ("alg None", headed("alg", json!("None")), not_allowed),
        ("HS256 with the point", with_public_key(&point), not_allowed),
        (
            "HS256 with the JWK",
            with_public_key(public_text.as_bytes()),
            not_allowed,
        ),
        ("ES384", headed("alg", json!("ES384")), not_allowed),
        ("RS256 with this key", headed("alg", json!("RS256")), unknown),
        ("alg is a list", headed("alg", json!(["ES256"])), no_token),
        (
            "own key in the header",
            other.sign(&with(&header, "jwk", other.public()), &claims),
            wrong,
        ),
        (
            "own keys' address",
            other.sign(&with(&header, "jku", json!("http://127.0.0.1:1/")), &claims),
            wrong,
        ),
        ("another's key", other.sign(&header, &claims), wrong),
        ("no signature", format!("{message}."), wrong),
        (
            "zero signature",
            format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
            wrong,
        ),
        ("no third part", message.to_owned(), no_token),
        ("five parts", format!("{good}.a.b"), no_token),
        ("padding", format!("{good}=="), no_token),
        (
            "other claims",
            {
                let evil = URL_SAFE_NO_PAD.encode(with(&claims, "sub", json!("root")).to_string());
                format!("{}.{evil}.{signature}", message.split_once('.').unwrap().0)
            },
            wrong,
        ),
        ("not base64", "a.b!.c".to_owned(), no_token),
        ("nothing", String::new(), no_token),
        ("claims are a list", key.sign(&header, &json!([])), no_token),
        (
            "huge",
            "a".repeat(TOKEN_BYTES_MAX + 1),
            "UnrecognizedClientException: The token has more than 16 KiB.",
        ),
        (
            "crit",
            headed("crit", json!(["exp"])),
            "UnrecognizedClientException: The token has critical extensions",
        ),
        (
            "id of another kind",
            headed("typ", json!("secevent+jwt")),
            "UnrecognizedClientException: The token must say",
        ),
        (
            "no typ",
            headed("typ", Value::Null),
            "UnrecognizedClientException: The token must say",
        ),
        (
            "long kid",
            headed("kid", json!("x".repeat(300))),
            "UnrecognizedClientException: The token's `kid`",
        ),
        ("JWT", headed("typ", json!("JWT")), "taken: alice"),
        (
            "application/at+jwt",
            headed("typ", json!("application/at+jwt")),
            "taken: alice",
        ),
        ("no kid", headed("kid", Value::Null), "taken: alice"),
        (
            "another issuer",
            signed("iss", json!("https://evil.example")),
            "UnrecognizedClientException: The token is of an issuer",
        ),
        (
            "the issuer, longer",
            signed("iss", json!(format!("{}/", provider.issuer))),
            "UnrecognizedClientException: The token is of an issuer",
        ),
        (
            "no issuer",
            without("iss"),
            "UnrecognizedClientException: The token is of an issuer",
        ),
        ("another audience", signed("aud", json!("stepfn2")), stray),
        ("other audiences", signed("aud", json!(["a", "b"])), stray),
        ("audience is an object", signed("aud", json!({"a": AUDIENCE})), stray),
        ("no audience", without("aud"), stray),
        (
            "one of the audiences",
            signed("aud", json!(["a", AUDIENCE])),
            "taken: alice",
        ),
        ("expired", signed("exp", json!(SECONDS - 60)), "ExpiredTokenException"),
        (
            "just not expired",
            signed("exp", json!(SECONDS - 59)),
            "UnrecognizedClientException: The token ended before",
        ),
        (
            "never expires",
            without("exp"),
            "UnrecognizedClientException: The token has no `exp`.",
        ),
        (
            "exp is a text",
            signed("exp", json!("9999999999")),
            "UnrecognizedClientException: The token's `exp` is not",
        ),
        ("not yet", signed("nbf", json!(SECONDS + 61)), future),
        (
            "within the clocks' skew",
            signed("nbf", json!(SECONDS + 60)),
            "taken: alice",
        ),
        ("issued later", signed("iat", json!(SECONDS + 61)), future),
        (
            "nobody",
            without("sub"),
            "UnrecognizedClientException: The token's `sub` must be",
        ),
        (
            "a number",
            signed("sub", json!(0)),
            "UnrecognizedClientException: The token's `sub` must be",
        ),
    ];
    for (what, token, expected) in rows {
        let told = told(verifier.verify(&token, NOW).await);
        assert!(told.starts_with(expected), "{what}: {told}");
        assert!(
            token.is_empty() || !told.contains(&token),
            "{what}: no token in a message"
        );
    }
}

#[tokio::test]
async fn keys_are_rotated_and_looked_for_in_measure() {
    let (provider, old, new) = (Provider::start().await, SignKey::new("old"), SignKey::new("new"));
    provider.show(&[&old]);
    let verifier = provider.verifier();
    let mut claims = provider.claims();
    claims["exp"] = json!(SECONDS * 2);
    let (of_old, of_new) = (old.sign(&old.header(), &claims), new.sign(&new.header(), &claims));
    let verify = async |token: &str, seconds: u64| told(verifier.verify(token, NOW.plus_millis(seconds * 1000)).await);
    assert_eq!(verify(&of_old, 0).await, "taken: alice");
    assert!(verify(&of_new, 0).await.contains("does not show"));
    assert_eq!(provider.n_asked(), 2, "once for the unknown key");
    provider.show(&[&new, &old]);
    assert!(verify(&of_new, 59).await.contains("does not show"));
    assert_eq!(provider.n_asked(), 2, "not again within the minute");
    assert_eq!(verify(&of_new, 60).await, "taken: alice");
    assert_eq!(provider.n_asked(), 3);
    // Names that somebody makes up cost the issuer little.
    for number in 0..50 {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": format!("made-up-{number}")});
        assert!(verify(&new.sign(&header, &claims), 61).await.contains("does not show"));
    }
    assert_eq!(provider.n_asked(), 7, "five in a minute, with the one before");
    provider.show(&[&new]);
    assert_eq!(verify(&of_old, 600).await, "taken: alice", "what is fresh is believed");
    assert!(
        verify(&of_old, 800).await.contains("does not show"),
        "a key that was withdrawn ends"
    );
    assert_eq!(verify(&of_new, 800).await, "taken: alice");
}

#[tokio::test]
async fn many_ask_once() {
    let (provider, key) = (Provider::start().await, SignKey::new("k"));
    provider.show(&[&key]);
    let verifier = Arc::new(provider.verifier());
    let token = Arc::new(key.sign(&key.header(), &provider.claims()));
    let ask = |_| {
        let (verifier, token) = (Arc::clone(&verifier), Arc::clone(&token));
        tokio::spawn(async move { verifier.verify(&token, NOW).await.unwrap() })
    };
    let asking: Vec<_> = (0..20).map(ask).collect();
    for asked in asking {
        asked.await.unwrap();
    }
    assert_eq!(provider.n_asked(), 1);
}

#[tokio::test]
async fn a_provider_that_is_down_or_wrong_is_survived() {
    let (provider, key) = (Provider::start().await, SignKey::new("k"));
    provider.show(&[&key]);
    provider.change(|answers| answers.status = Some(500));
    let mut claims = provider.claims();
    claims["exp"] = json!(SECONDS * 2);
    let token = key.sign(&key.header(), &claims);
    let unavailable = "ServiceUnavailableException";
    let verifier = provider.verifier();
    let verify = async |seconds: u64| told(verifier.verify(&token, NOW.plus_millis(seconds * 1000)).await);
    assert!(verify(0).await.starts_with(unavailable));
    assert!(verify(9).await.starts_with(unavailable));
    assert_eq!(provider.n_asked(), 1, "a pause after each failure");
    for change in [
        (|answers: &mut Answers| answers.issuer = Some("http://127.0.0.1:1/realm".to_owned())) as fn(&mut Answers),
        |answers| answers.padding = 300_000,
        |answers| answers.keys = vec![json!({}); 65],
    ] {
        provider.change(|answers| *answers = Answers::default());
        provider.change(change);
        assert!(told(provider.verifier().verify(&token, NOW).await).starts_with(unavailable));
    }
    provider.change(|answers| *answers = Answers::default());
    provider.change(|answers| answers.keys = vec![json!(7), json!({"kty": "oct", "k": "eA"}), key.public()]);
    assert_eq!(verify(10).await, "taken: alice");
    provider.change(|answers| answers.status = Some(503));
    assert_eq!(verify(3_000).await, "taken: alice", "the last good keys are kept");
    assert!(verify(10 + 86_400).await.starts_with(unavailable), "for a day");
    provider.change(|answers| answers.status = None);
    assert_eq!(verify(20 + 86_400).await, "taken: alice");
}

#[test]
fn an_issuer_must_be_safe() {
    let good = "issuer = 'https://login.example.com'\naudience = 'a'\n";
    let read = |text: &str| toml::from_str::<Issuer>(text).map_err(|error| error.to_string());
    let issuer = read(good).unwrap();
    assert_eq!((issuer.check(), issuer.name_claim.as_str()), (Ok(()), "sub"));
    assert_eq!(issuer.algorithms, [Algorithm::RS256, Algorithm::ES256]);
    for (text, expected) in [
        (
            "issuer = 'http://login.example.com'\naudience = 'a'",
            "must begin with `https:`",
        ),
        (
            "issuer = 'http://127.0.0.1.example.com'\naudience = 'a'",
            "must begin with `https:`",
        ),
        (
            "issuer = 'file:///etc/passwd'\naudience = 'a'",
            "must begin with `https:`",
        ),
        (
            "issuer = 'https://u:p@example.com'\naudience = 'a'",
            "must not hold a user or a password",
        ),
        ("issuer = 'https://example.com?a=1'\naudience = 'a'", "has a query"),
        (
            "issuer = 'https://example.com'\naudience = ''",
            "has an empty `audience`",
        ),
        (
            "issuer = 'https://example.com'\naudience = 'a'\nalgorithms = []",
            "has no `algorithms`",
        ),
        (
            "issuer = 'https://example.com'\naudience = 'a'\nusers = {a = ''}",
            "has an empty name in `users`",
        ),
        (
            "issuer = 'https://example.com'\naudience = 'a'\nalgorithms = ['none']",
            "unknown variant `none`",
        ),
        (
            "issuer = 'https://example.com'\naudience = 'a'\nalgorithms = ['HS256']",
            "unknown variant `HS256`",
        ),
        ("issuer = 'https://example.com'", "missing field `audience`"),
        (
            "issuer = 'https://example.com'\naudience = 'a'\nclaim = 'x'",
            "unknown field `claim`",
        ),
    ] {
        let error = read(text).and_then(|issuer| issuer.check()).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for here in ["http://localhost:8080", "http://127.0.0.1:1/a", "http://[::1]:1"] {
        assert_eq!(safe_url(here).map(drop), Ok(()), "{here}");
    }
    let twice = Verifier::new(vec![issuer.clone(), issuer]).unwrap_err();
    assert!(twice.contains("is configured twice"), "{twice}");
}
