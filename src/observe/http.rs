//! As much of HTTP/1.1 as a scraper needs: GET and HEAD of /metrics, one to a connection.

use super::openmetrics;
use super::server::Answer;
use super::source::Source;

/// Headers of a request, in bytes and in number.
const LONGEST: usize = 8 << 10;
const HEADERS: usize = 64;

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers the request at the beginning of `input`, once all of its head is there. A body is not looked at.
pub fn answer(input: &[u8], source: &mut Source) -> Answer {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(input) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if input.len() < LONGEST => return Answer::More,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return reply(
                "431 Request Header Fields Too Large",
                TEXT,
                "the request's head is too long\n",
                false,
            );
        }
        Err(error) => {
            return reply("400 Bad Request", TEXT, &format!("no request of HTTP/1: {error}\n"), false);
        }
    }
    let head = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return reply("405 Method Not Allowed\r\nAllow: GET, HEAD", TEXT, "only GET and HEAD\n", false),
    };
    let path = request.path.unwrap_or_default().split('?').next();
    if path != Some("/metrics") {
        return reply("404 Not Found", TEXT, "the metrics are at /metrics\n", head);
    }
    match source.get().and_then(openmetrics::encode) {
        Some(text) => reply("200 OK", openmetrics::CONTENT_TYPE, &text, head),
        None => reply("503 Service Unavailable", TEXT, "the runtime has ended\n", head),
    }
}

/// `head`: without the body itself.
fn reply(status: &str, kind: &str, body: &str, head: bool) -> Answer {
    let length = body.len();
    let body = if head { "" } else { body };
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}"
    );
    Answer::Last(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Snapshot;

    #[test]
    fn requests_have_their_answers() {
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(LONGEST));
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(HEADERS + 1));
        // The request, the status (none: more is to come), and whether there is a body.
        let cases: [(&[u8], &str, bool); 18] = [
            (b"", "", false),
            (b"GET /metrics HTTP/1.1\r\nHost: x\r\n", "", false),
            (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 ", true),
            (b"GET /metrics HTTP/1.0\r\n\r\n", "200 ", true),
            (b"GET /metrics?x=1 HTTP/1.1\r\n\r\nbody", "200 ", true),
            (b"HEAD /metrics HTTP/1.1\r\n\r\n", "200 ", false),
            (b"GET / HTTP/1.1\r\n\r\n", "404 ", true),
            (b"HEAD / HTTP/1.1\r\n\r\n", "404 ", false),
            (b"GET /metrics/ HTTP/1.1\r\n\r\n", "404 ", true),
            (b"GET http://x/metrics HTTP/1.1\r\n\r\n", "404 ", true),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405 ", true),
            (b"OPTIONS * HTTP/1.1\r\n\r\n", "405 ", true),
            (b"snapshot\n", "400 ", true),
            (b"\0\xFF", "400 ", true),
            (b"GET /metrics HTTP/2.0\r\n\r\n", "400 ", true),
            (b"GET /metrics HTTP/1.1\r\n: x\r\n\r\n", "400 ", true),
            (long.as_bytes(), "431 ", true),
            (many.as_bytes(), "431 ", true),
        ];
        let mut source = Source::new(Box::new(|| Some(Snapshot::default())));
        for (request, status, body) in cases {
            let name = String::from_utf8_lossy(&request[..request.len().min(50)]);
            match answer(request, &mut source) {
                Answer::More => assert_eq!(status, "", "{name}"),
                Answer::Reply { .. } => panic!("{name}: it keeps no connection"),
                Answer::Last(reply) => {
                    let reply = String::from_utf8(reply).expect("text");
                    let start = format!("HTTP/1.1 {status}");
                    assert!(!status.is_empty() && reply.starts_with(&start), "{name}: {reply}");
                    let (head, text) = reply.split_once("\r\n\r\n").expect("a head");
                    assert_eq!(!text.is_empty(), body, "{name}: {reply}");
                    let length =
                        head.lines().find_map(|l| l.strip_prefix("Content-Length: ")).expect("a length");
                    assert!(!body || length == text.len().to_string(), "{name}: {reply}");
                }
            }
        }
        let Answer::Last(reply) = answer(cases[2].0, &mut Source::new(Box::new(|| None))) else {
            panic!("a snapshot of nothing")
        };
        assert!(reply.starts_with(b"HTTP/1.1 503 "));
    }
}
