//! The stand-in itself: a good server is good, a script is obeyed, a recovery takes hold.

use super::Act::{Close, Usual};
use super::names::Names;
use super::script::say;
use super::{At, Script, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// Says all of it at once; what comes back until the server closes.
async fn dialogue(server: &Server, octets: &str) -> String {
    let mut stream = TcpStream::connect(server.address())
        .await
        .expect("connects");
    stream.write_all(octets.as_bytes()).await.expect("writes");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.expect("reads");
    String::from_utf8_lossy(&said).into_owned()
}

/// The codes of last lines.
fn codes(said: &str) -> Vec<&str> {
    said.lines()
        .filter(|line| line.as_bytes().get(3) == Some(&b' '))
        .map(|line| &line[..3])
        .collect()
}

const MESSAGE: &str = "EHLO c.test\r\nMAIL FROM:<x@c.test>\r\nRCPT TO:<a@p.test>\r\n\
                       RCPT TO:<b@p.test>\r\nDATA\r\n..\r\nx\r\n.\r\nQUIT\r\n";

#[tokio::test]
async fn a_good_server_takes_a_message() {
    let server = Server::start(Script::good()).await.expect("starts");
    let said = dialogue(&server, MESSAGE).await;
    assert_eq!(
        codes(&said),
        ["220", "250", "250", "250", "250", "354", "250", "221"]
    );
    let seen = server.seen();
    assert_eq!((seen.taken("a@p.test"), seen.taken("c@p.test")), (1, 0));
    assert_eq!(seen.contents[0].octets, b".\r\nx\r\n");
}

#[tokio::test]
async fn a_script_is_obeyed_until_the_recovery() {
    let script = Script::good()
        .says(At::Rcpt("a"), "450 4.2.1 busy")
        .at(At::End, [Usual, Close]);
    let server = Server::start(script).await.expect("starts");
    let said = dialogue(&server, MESSAGE).await;
    assert_eq!(
        codes(&said),
        ["220", "250", "250", "450", "250", "354", "250"]
    );
    server.recover();
    dialogue(&server, MESSAGE).await;
    let seen = server.seen();
    assert_eq!((seen.taken("a@p.test"), seen.taken("b@p.test")), (1, 2));
}

#[tokio::test]
async fn lmtp_has_a_reply_for_each_recipient() {
    let mut script = Script::good().at(At::End, [say("250 kept"), say("550 full")]);
    script.lmtp = true;
    let server = Server::start(script).await.expect("starts");
    let said = dialogue(&server, MESSAGE).await;
    assert_eq!(
        codes(&said),
        [
            "220", "250", "250", "250", "250", "354", "250", "550", "221"
        ]
    );
    let seen = server.seen();
    assert_eq!((seen.taken("a@p.test"), seen.taken("b@p.test")), (1, 0));
    assert_eq!((seen.offered("a@p.test"), seen.offered("b@p.test")), (1, 1));
}

#[tokio::test]
async fn an_absent_server_refuses_connections_until_the_recovery() {
    let mut script = Script::good();
    script.absent = true;
    let server = Server::start(script).await.expect("starts");
    assert!(TcpStream::connect(server.address()).await.is_err());
    server.recover();
    while TcpStream::connect(server.address()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn names_are_answered_as_rfc_1035_section_4_1_says() {
    let names = Names::default();
    names.add("a.test");
    let address = names.serve().await.expect("serves");
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    for (label, code, answers) in [(b'a', 0, 1), (b'b', 3, 0)] {
        let mut query = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, label, 4];
        query.extend_from_slice(b"test\0\0\x01\0\x01");
        socket.send_to(&query, address).await.expect("sends");
        let mut room = [0; 512];
        let (length, _) = socket.recv_from(&mut room).await.expect("receives");
        let answer = &room[..length];
        assert_eq!(answer[..2], [7, 9]);
        assert_eq!((answer[3] & 15, answer[7]), (code, answers));
        assert_eq!(answer.ends_with(&[0, 4, 127, 0, 0, 1]), answers == 1);
    }
}
