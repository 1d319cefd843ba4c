//! What it costs to verify a request signed with an access key: `cargo bench --bench sigv4`.

use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::SignableBody;
use aws_sigv4::http_request::SignableRequest;
use aws_sigv4::http_request::SigningSettings;
use aws_sigv4::http_request::sign;
use aws_sigv4::sign::v4;
use divan::Bencher;
use hyper::HeaderMap;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use secrecy::ExposeSecret;
use stepfn::identity::keys::Keys;
use stepfn::identity::sigv4;
use stepfn::model::timestamp::Timestamp;

const NOW: Timestamp = Timestamp(1_795_543_140_000);
const HEADERS: [(&str, &str); 3] = [
    ("host", "localhost:8083"),
    ("content-type", "application/x-amz-json-1.0"),
    ("x-amz-target", "AWSStepFunctions.DescribeExecution"),
];

fn main() {
    divan::main();
}

/// A directory with one key, gone at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// From the headers to the principal, by the size of the body in bytes.
#[divan::bench(args = [100, 10_000, 250_000])]
fn verify(bencher: Bencher<'_, '_>, n_bytes: usize) {
    let scratch = Scratch(std::env::temp_dir().join(format!("stepfn-bench-sigv4-{}", std::process::id())));
    let keys = Keys::new(scratch.0.join("keys"));
    let uid = nix::unistd::User::from_uid(nix::unistd::Uid::effective());
    let user = uid.ok().flatten().expect("a known user").name;
    let expires = NOW.plus_millis(86_400_000);
    let key = keys.create(&user, NOW, expires).expect("there is room");
    let body = "x".repeat(n_bytes);
    let headers = signed(&key.key.id, key.secret.expose_secret(), body.as_bytes());
    let request = sigv4::Signed {
        method: "POST",
        path: "/",
        query: "",
        headers: &headers,
        body: body.as_bytes(),
    };
    bencher.bench_local(|| sigv4::verify(&keys, divan::black_box(&request), NOW).expect("it is right"));
}

fn signed(id: &str, secret: &str, body: &[u8]) -> HeaderMap {
    let identity = Credentials::new(id, secret, None, None, "bench").into();
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW.0.unsigned_abs());
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("states")
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .expect("all is said")
        .into();
    let url = "http://localhost:8083/";
    let request = SignableRequest::new("POST", url, HEADERS.into_iter(), SignableBody::Bytes(body));
    let signed = sign(request.expect("a request"), &parameters).expect("it can be signed");
    let (instructions, _) = signed.into_parts();
    let all = HEADERS.into_iter().chain(instructions.headers());
    let header = |(name, value): (&str, &str)| {
        let value = HeaderValue::from_str(value).expect("a value");
        (HeaderName::try_from(name).expect("a name"), value)
    };
    all.map(header).collect()
}
