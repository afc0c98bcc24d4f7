//! Clients of the socket that do not do as they should: none keeps the others from their answers.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use super::rig::{DONE, Place, ask, connect};

const REQUEST: &[u8] = b"snapshot\n";

#[test]
fn bad_clients_leave_the_others_alone() {
    let place = Place::new("bad");
    let program = place.program(1);
    let socket = &place.sockets()[0];
    let good = || {
        let line = ask(&mut connect(socket), REQUEST).expect("an answer");
        let json: serde_json::Value = serde_json::from_str(&line).expect("an object");
        assert_eq!(json["done"], DONE);
    };
    good();

    // What is sent, and what the answer has; then the connection ends.
    let garbage: [(&[u8], &str); 6] = [
        (b"\n", "snapshot"),
        (b"GET / HTTP/1.1\r\n\r\n", "snapshot"),
        (b"\xFF\xFE\0\n", "snapshot"),
        (b"{\"snapshot\": 1}\n", "snapshot"),
        (&[b'x'; 100], "too long"),
        (&[b'x'; 1_000_000], "too long"),
    ];
    for (bytes, wanted) in garbage {
        let mut stream = connect(socket);
        // The last is not read to its end.
        let _ = stream.write_all(bytes);
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        assert!(text.contains("\"error\"") && text.contains(wanted), "{text}");
        good();
    }

    // More than are let in at once: say nothing, or half a request, and stay.
    let idle: Vec<_> = (0..40).map(|_| connect(socket)).collect();
    good();
    let half: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = connect(socket);
            let _ = stream.write_all(b"snap");
            stream
        })
        .collect();
    good();
    drop(idle);
    drop(half);
    good();

    // Asks without end and reads nothing: at some point it can send no more.
    let mut greedy = connect(socket);
    greedy.set_nonblocking(true).expect("an option");
    let mut sent = 0;
    let mut stuck = 0;
    while stuck < 20 {
        match greedy.write(REQUEST) {
            Ok(count) => (sent, stuck) = (sent + count, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stuck += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 64 << 20, "somebody takes all of it");
    }
    good();
    drop(greedy);
    good();
    drop(program);
}

#[test]
fn a_connection_takes_many_requests() {
    let place = Place::new("many");
    let _program = place.program(1);
    let mut stream = connect(&place.sockets()[0]);
    let first = ask(&mut stream, REQUEST).expect("an answer");
    for _ in 0..100 {
        let line = ask(&mut stream, REQUEST).expect("an answer");
        assert_eq!(line.len() / 8, first.len() / 8);
    }
    // All at once.
    stream.write_all(&REQUEST.repeat(500)).expect("room");
    for index in 0..500 {
        assert!(ask(&mut stream, b"").expect("an answer").contains("\"done\":9"), "{index}");
    }
    // Byte by byte.
    REQUEST.iter().for_each(|byte| stream.write_all(&[*byte]).expect("room"));
    assert!(ask(&mut stream, b"").expect("an answer").contains("\"done\":9"));
}

#[test]
fn a_hundred_clients_all_have_their_answer() {
    let place = Place::new("hundred");
    let _program = place.program(1);
    let socket = &place.sockets()[0];
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..100)
            .map(|_| {
                scope.spawn(|| ask(&mut connect(socket), REQUEST).expect("an answer").contains("\"done\":9"))
            })
            .collect();
        assert!(clients.into_iter().all(|client| client.join().expect("a client")));
    });
}
