//! A client that writes and reads raw bytes.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    time::Duration,
};

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, its body without chunk framing.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(crate) is_whole: bool,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut values = pairs.filter(|(have, _)| have.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim().to_owned())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The contract: who answered, and with which type.
    pub(crate) fn kind(&self) -> String {
        assert_eq!(self.header("x-gate-source").as_deref(), Some("gate"));
        self.header("x-gate-error").unwrap_or_default()
    }
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// Over a Unix socket: what a stream of bytes is made of does not matter here.
    pub(crate) fn unix(path: &Path) -> Self {
        Self::over(OwnedFd::from(UnixStream::connect(path).unwrap()).into())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends a request that needs nothing more, and reads its answer.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        self.send(request(method, path, headers, body));
        if method == "HEAD" {
            self.head()
        } else {
            self.reply()
        }
    }

    /// Reads an answer without a body.
    pub(crate) fn head(&mut self) -> Reply {
        let end = self.until(b"\r\n\r\n").expect("an answer's head");
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply {
            status,
            head,
            body: Vec::new(),
            is_whole: true,
        }
    }

    pub(crate) fn reply(&mut self) -> Reply {
        let mut reply = self.head();
        if reply.header("transfer-encoding").is_some() {
            loop {
                match self.chunk() {
                    Some(chunk) if chunk.is_empty() => break,
                    Some(chunk) => reply.body.extend(chunk),
                    None => {
                        reply.is_whole = false;
                        break;
                    }
                }
            }
        } else if let Some(length) = reply.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.buffer.len() < length && self.more() {}
            reply.is_whole = self.buffer.len() >= length;
            let take = length.min(self.buffer.len());
            reply.body = self.buffer.drain(..take).collect();
        }
        reply
    }

    /// The next chunk; an empty one is the last, none a broken end.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = self.until(b"\r\n")?;
        let size: Vec<u8> = self.buffer.drain(..end).collect();
        let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap().trim(), 16).unwrap();
        while self.buffer.len() < size + 2 {
            if !self.more() {
                return None;
            }
        }
        let mut chunk: Vec<u8> = self.buffer.drain(..size + 2).collect();
        chunk.truncate(size);
        Some(chunk)
    }

    /// The next so many bytes, whatever they are.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.more(), "the connection ended early");
        }
        self.buffer.drain(..count).collect()
    }

    /// Reads until the other side closes: what came, and whether it was a reset.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut rest = std::mem::take(&mut self.buffer);
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => (rest, false),
            Err(why) if why.kind() == io::ErrorKind::ConnectionReset => (rest, true),
            Err(why) => panic!("the connection stays open: {why}"),
        }
    }

    fn until(&mut self, mark: &[u8]) -> Option<usize> {
        loop {
            let found = self
                .buffer
                .windows(mark.len())
                .position(|part| part == mark);
            if let Some(at) = found {
                return Some(at + mark.len());
            }
            if !self.more() {
                return None;
            }
        }
    }

    fn more(&mut self) -> bool {
        let mut part = [0; 4096];
        match self.stream.read(&mut part) {
            Ok(0) => false,
            Ok(read) => {
                self.buffer.extend(&part[..read]);
                true
            }
            Err(why) if why.kind() == io::ErrorKind::ConnectionReset => false,
            Err(why) => panic!("no answer: {why}"),
        }
    }
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        text.push_str("host: localhost\r\n");
    }
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    let framed = |(name, _): &(&str, &str)| {
        name.eq_ignore_ascii_case("content-length")
            || name.eq_ignore_ascii_case("transfer-encoding")
    };
    if !headers.iter().any(framed) && !matches!(method, "GET" | "HEAD" | "OPTIONS") {
        text += "content-length: ";
        text += &body.len().to_string();
        text += "\r\n";
    }
    text + "\r\n" + body
}

/// An address of this host that is not loopback: what connects to it comes from it.
pub(crate) fn own_address() -> Option<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().unwrap();
    let own = interfaces
        .filter_map(|interface| Some(IpAddr::V4(interface.address?.as_sockaddr_in()?.ip())))
        .find(|address| !address.is_loopback());
    let reason = "this host has no address beside loopback";
    harness::need::that(own.is_some(), reason);
    own
}
