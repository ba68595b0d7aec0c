//! Listening sockets: bound first, served later, so that port 0 is known before anything runs.

use crate::limits;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;

/// One bound socket, not yet attached to a runtime.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is in use or not ours.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::from_socket(bound(address, Sharing::Alone)?)
    }

    fn from_socket(socket: TcpListener) -> io::Result<Self> {
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// The address it is bound to, port 0 resolved.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Attaches the socket to the runtime that calls this.
    ///
    /// # Errors
    /// Outside a runtime with network, or when the runtime can't register the socket.
    pub fn into_tokio(self) -> io::Result<tokio::net::TcpListener> {
        tokio::net::TcpListener::from_std(self.socket)
    }
}

/// One socket a core on the same address (`SO_REUSEPORT`); the kernel spreads connections over them.
pub struct Listeners {
    sockets: Vec<Listener>,
    address: SocketAddr,
}

impl Listeners {
    /// Binds `address` `cores` times; port 0 takes a free one.
    ///
    /// `SO_REUSEPORT` would let a second process of the same user take half of the connections without a word, so the port is first
    /// bound alone.
    ///
    /// # Errors
    /// When the address is in use or not ours.
    pub fn bind(address: SocketAddr, cores: NonZeroUsize) -> io::Result<Self> {
        if address.port() != 0 {
            drop(bound(address, Sharing::Alone)?);
        }
        let first = Listener::from_socket(bound(address, Sharing::Cores)?)?;
        let address = first.address();
        let mut sockets = vec![first];
        for _ in 1..cores.get() {
            sockets.push(Listener::from_socket(bound(address, Sharing::Cores)?)?);
        }
        Ok(Self { sockets, address })
    }

    /// The address they are bound to, port 0 resolved.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The sockets, one a core.
    #[must_use]
    pub fn into_sockets(self) -> Vec<Listener> {
        self.sockets
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    Cores,
}

fn bound(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // On Linux this takes a port whose old connections linger, never one that somebody listens on.
    socket.set_reuse_address(true)?;
    if sharing == Sharing::Cores {
        socket.set_reuse_port(true)?;
    }
    // What is accepted has it from here.
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(limits::UNSENT_BYTES_MAX)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn every_core_shares_one_port() {
        let listeners = Listeners::bind(LOOPBACK, NonZeroUsize::new(3).unwrap()).unwrap();
        let address = listeners.address();
        assert_ne!(address.port(), 0);
        assert!(
            listeners
                .into_sockets()
                .iter()
                .all(|listener| listener.address() == address)
        );
    }

    /// A peer that reads 64 KiB in a minute is seen to take something, however much the kernel would hold.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_holds_little_that_is_not_on_its_way() {
        let listener = Listener::bind(LOOPBACK).unwrap();
        listener.socket.set_nonblocking(false).unwrap();
        let _near = std::net::TcpStream::connect(listener.address()).unwrap();
        let (accepted, _) = listener.socket.accept().unwrap();
        let held = socket2::SockRef::from(&accepted).tcp_notsent_lowat();
        assert_eq!(held.unwrap(), limits::UNSENT_BYTES_MAX);
    }

    #[test]
    fn a_second_process_cannot_share_the_port() {
        let first = Listeners::bind(LOOPBACK, NonZeroUsize::MIN).unwrap();
        assert!(Listeners::bind(first.address(), NonZeroUsize::MIN).is_err());
        let address = first.address();
        drop(first);
        assert!(Listeners::bind(address, NonZeroUsize::MIN).is_ok());
    }
}
