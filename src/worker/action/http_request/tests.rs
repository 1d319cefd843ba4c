//! Requests to real servers on this machine.

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;

use crate::model::states_error::StatesError;
use crate::worker::action::http_request::testing::Got;
use crate::worker::action::http_request::testing::Server;
use crate::worker::action::http_request::testing::response;
use crate::worker::action::testing::Bench;
use crate::worker::action::testing::Scratch;

/// Answers by the path; `/echo` tells what it got.
fn answer(got: &Got) -> Response<Full<Bytes>> {
    let (path, query) = got.path.split_once('?').unwrap_or((&got.path, ""));
    match path {
        "/echo" => {
            let header = |name: &str| got.headers.get(name).and_then(|value| value.to_str().ok());
            let told = json!({ "Method": got.method, "Query": query, "Body": got.body, "Key": header("x-api-key"),
                "Type": header("content-type"), "Agent": header("user-agent").is_some() });
            response(
                200,
                &[("content-type", "application/json; charset=utf-8")],
                told.to_string(),
            )
        }
        "/missing" => response(
            404,
            &[("content-type", "application/problem+json")],
            r#"{"detail":"no"}"#,
        ),
        "/text" => response(
            200,
            &[("content-type", "text/plain"), ("x-two", "a"), ("x-two", "b")],
            "[1]",
        ),
        "/bytes" => response(200, &[], &b"\xff\x00"[..]),
        "/empty" => response(204, &[], ""),
        "/amz" => response(200, &[("content-type", "application/x-amz-json-1.0")], "[1]"),
        "/wrong-json" => response(200, &[("content-type", "application/json")], "{"),
        "/large" => response(200, &[], vec![b'x'; 300_000]),
        "/loop" => response(302, &[("location", "/loop")], ""),
        "/nowhere" => response(302, &[("location", "ftp://h/")], ""),
        "/no-url" => response(302, &[("location", "http://[")], ""),
        "/302" => response(302, &[("location", "/echo")], ""),
        "/307" => response(307, &[("location", "/echo?again")], ""),
        "/303" => response(303, &[("location", "echo")], ""),
        // The query says where.
        "/away302" => response(302, &[("location", query)], ""),
        "/away307" => response(307, &[("location", query)], ""),
        _ => response(500, &[], ""),
    }
}

async fn ask(parameters: Value) -> Result<Value, StatesError> {
    let scratch = Scratch::new();
    Bench::new(&scratch).run("http.request", &parameters).await
}

fn name(result: Result<Value, StatesError>) -> (String, String) {
    let error = result.unwrap_err();
    (error.name.unwrap_or_default(), error.cause.unwrap_or_default())
}

#[tokio::test]
async fn a_request_carries_what_it_is_given() {
    let port = Server::plain(answer).await.port;
    let url = format!("http://127.0.0.1:{port}/echo?a=1");
    let got = ask(json!({ "Url": url, "Query": { "b": "x y&" }, "Headers": { "X-Api-Key": "k" } }))
        .await
        .unwrap();
    assert_eq!(
        got["Body"],
        json!({ "Method": "GET", "Query": "a=1&b=x+y%26", "Body": "", "Key": "k", "Type": null, "Agent": true })
    );
    assert_eq!(
        (&got["StatusCode"], &got["StatusText"], &got["Changed"]),
        (&json!(200), &json!("OK"), &json!(false))
    );
    let got = ask(json!({ "Url": url, "Method": "POST", "Body": { "n": 1 } }))
        .await
        .unwrap();
    assert_eq!(
        (
            &got["Body"]["Body"],
            &got["Body"]["Type"],
            &got["Changed"],
            &got["Checkpoint"]
        ),
        (
            &json!(r#"{"n":1}"#),
            &json!("application/json"),
            &json!(true),
            &Value::Null
        )
    );
    let got = ask(json!({ "Url": url, "Method": "PUT", "Body": "text" }))
        .await
        .unwrap();
    assert_eq!(
        (&got["Body"]["Body"], &got["Body"]["Type"]),
        (&json!("text"), &Value::Null)
    );
}

#[tokio::test]
async fn answers_are_parsed_only_when_they_are_json() {
    let port = Server::plain(answer).await.port;
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let got = ask(json!({ "Url": url("/text") })).await.unwrap();
    assert_eq!(
        (&got["Body"], &got["Headers"]["x-two"]),
        (&json!("[1]"), &json!(["a", "b"]))
    );
    let got = ask(json!({ "Url": url("/bytes") })).await.unwrap();
    assert_eq!((&got["Body"], &got["BodyBase64"]), (&Value::Null, &json!("/wA=")));
    let got = ask(json!({ "Url": url("/empty") })).await.unwrap();
    assert_eq!((&got["Body"], &got["StatusCode"]), (&Value::Null, &json!(204)));
    let got = ask(json!({ "Url": url("/amz") })).await.unwrap();
    assert_eq!(got["Body"], json!([1]));
    let got = ask(json!({ "Url": url("/wrong-json") })).await.unwrap();
    assert_eq!(got["Body"], json!("{"));
    let got = ask(json!({ "Url": url("/missing"), "SuccessStatusCodes": [404] }))
        .await
        .unwrap();
    assert_eq!(got["Body"], json!({ "detail": "no" }));
}

#[tokio::test]
async fn what_fails_has_its_name_and_shows_no_secret() {
    let port = Server::plain(answer).await.port;
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    // A port that nobody listens on: its listener is gone.
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for (parameters, expected, part) in [
        (
            json!({"Url": url("/missing?token=hidden")}),
            "Http.StatusCode.404",
            r#""detail":"no""#,
        ),
        (
            json!({"Url": url("/text"), "SuccessStatusCodes": [404]}),
            "Http.StatusCode.200",
            "",
        ),
        (
            json!({"Url": url("/large")}),
            "States.DataLimitExceeded",
            "more than 262144 bytes",
        ),
        (
            json!({"Url": format!("http://127.0.0.1:{closed}/?token=hidden")}),
            "Http.Socket",
            "Connection refused",
        ),
        (json!({"Url": "ftp://h/"}), "Http.InvalidParameters", "must begin with"),
        (
            json!({"Url": "http://u:hidden@h/"}),
            "Http.InvalidParameters",
            "must not hold a user",
        ),
        (json!({"Url": "http://"}), "Http.InvalidParameters", "is not a URL"),
        (
            json!({"Url": url("/echo"), "Headers": {"A B": "x"}}),
            "Http.InvalidParameters",
            "cannot name a header",
        ),
        (
            json!({"Url": url("/echo"), "Headers": {"A": "hidden\r\nB: c"}}),
            "Http.InvalidParameters",
            "The value of `A`",
        ),
        (
            json!({"Url": url("/echo"), "Method": "get"}),
            "Http.InvalidParameters",
            "`Method`",
        ),
        (
            json!({"Url": url("/echo"), "CaFile": "/dev/null"}),
            "Http.CaFile",
            "holds no certificate",
        ),
        (
            json!({"Url": url("/loop")}),
            "Http.RedirectRefused",
            "once more after 5 redirects",
        ),
        (
            json!({"Url": url("/nowhere")}),
            "Http.RedirectRefused",
            "neither http nor https",
        ),
        (json!({"Url": url("/no-url")}), "Http.RedirectRefused", "no URL"),
        (
            json!({"Url": url("/302"), "Redirects": 0}),
            "Http.StatusCode.302",
            r#""location":["/echo"]"#,
        ),
    ] {
        let (name, cause) = name(ask(parameters.clone()).await);
        assert_eq!(name, expected, "{parameters}: {cause}");
        assert!(
            cause.contains(part) && !cause.contains("hidden"),
            "{parameters}: {cause}"
        );
    }
}

#[tokio::test]
async fn a_redirect_takes_no_secret_to_another_server() {
    let port = Server::plain(answer).await.port;
    let other = Server::plain(answer).await.port;
    let send = |method: &str, path: String| {
        let mut parameters = json!({ "Url": format!("http://127.0.0.1:{port}{path}"), "Method": method,
            "Headers": { "X-Api-Key": "k" } });
        if method != "GET" {
            parameters["Body"] = json!("b");
        }
        ask(parameters)
    };
    let told = |got: Value| {
        let body = &got["Body"];
        [&body["Method"], &body["Body"], &body["Key"]].map(|value| value.as_str().unwrap_or("-").to_owned())
    };
    // At the same server.
    assert_eq!(told(send("GET", "/302".to_owned()).await.unwrap()), ["GET", "", "k"]);
    assert_eq!(told(send("POST", "/302".to_owned()).await.unwrap()), ["GET", "", "k"]);
    assert_eq!(told(send("PUT", "/303".to_owned()).await.unwrap()), ["GET", "", "k"]);
    assert_eq!(told(send("POST", "/307".to_owned()).await.unwrap()), ["POST", "b", "k"]);
    // At another.
    let away = |status: u16| format!("/away{status}?http://127.0.0.1:{other}/echo");
    assert_eq!(told(send("GET", away(302)).await.unwrap()), ["GET", "", "-"]);
    assert_eq!(told(send("POST", away(302)).await.unwrap()), ["GET", "", "-"]);
    let (name, cause) = name(send("POST", away(307)).await);
    assert_eq!(name, "Http.RedirectRefused");
    assert!(cause.contains("the body is not sent to another server"), "{cause}");
}

#[tokio::test]
async fn a_server_with_tls_must_be_trusted() {
    let scratch = Scratch::new();
    let server = Server::with_tls(answer, "localhost").await;
    let other = Server::with_tls(answer, "elsewhere.example").await;
    let ca_file = |server: &Server, name: &str| {
        let path = scratch.path().join(name);
        std::fs::write(&path, &server.certificate).unwrap();
        path
    };
    let url = |server: &Server, path: &str| format!("https://localhost:{}{path}", server.port);
    let trusted = ca_file(&server, "server.pem");
    let got = ask(json!({ "Url": url(&server, "/echo"), "CaFile": trusted }))
        .await
        .unwrap();
    assert_eq!(got["StatusCode"], json!(200));
    let other_trusted = ca_file(&other, "other.pem");
    for (parameters, part) in [
        (json!({ "Url": url(&server, "/echo") }), "UnknownIssuer"),
        (
            json!({ "Url": url(&server, "/echo"), "CaFile": other_trusted }),
            "invalid peer certificate",
        ),
        (
            json!({ "Url": url(&other, "/echo"), "CaFile": other_trusted }),
            "not valid for name",
        ),
    ] {
        let (name, cause) = name(ask(parameters.clone()).await);
        assert_eq!(name, "Http.Tls", "{cause}");
        assert!(cause.contains(part), "{parameters}: {cause}");
    }
    // What was asked over TLS does not go on without it.
    let plain = Server::plain(answer).await.port;
    let away = url(&server, &format!("/away302?http://127.0.0.1:{plain}/echo"));
    let (name, cause) = name(ask(json!({ "Url": away, "CaFile": trusted })).await);
    assert_eq!(name, "Http.RedirectRefused");
    assert!(cause.contains("over TLS"), "{cause}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_longer_than_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (name, cause) = name(ask(json!({ "Url": url, "TimeoutSeconds": 1 })).await);
    assert_eq!(name, "Http.TimedOut");
    assert!(cause.contains("in 1 seconds"), "{cause}");
}

#[tokio::test]
async fn a_plan_only_asks_what_changes_nothing() {
    let port = Server::plain(answer).await.port;
    let mut bench = Bench::planning();
    for method in ["GET", "POST"] {
        let url = format!("http://127.0.0.1:{port}/echo?secret");
        bench
            .run("http.request", &json!({ "Url": url, "Method": method }))
            .await
            .unwrap();
    }
    let plans: Vec<_> = bench.actions().plans().into_iter().map(|plan| plan.changes).collect();
    assert_eq!(plans, [vec![], vec![format!("POST http://127.0.0.1:{port}/echo")]]);
}
