//! What a handshake agrees on, read from the other side of it: versions, groups, suites, resumption, early data. `docs/tls.md` says why.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test by panicking"
)]

use bytes::Bytes;
use countersign_net::{
    ClientCertificates, Connection, Drain, DrainTrigger, Limits, Listener, ServerTls, TlsIdentity,
    Transport, TrustRoots, serve,
};
use countersign_testkit::{TestAuthority, system_clock};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CipherSuite, ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion, RootCertStore,
    SupportedProtocolVersion,
};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

struct World {
    authority: TestAuthority,
    address: SocketAddr,
    _trigger: DrainTrigger,
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"ok"))))
}

impl World {
    fn start(clients: fn(TrustRoots) -> ClientCertificates) -> Self {
        let authority = TestAuthority::new(system_clock().now());
        let roots = TrustRoots::from_pem(authority.certificate_pem().as_bytes()).unwrap();
        let identity = TlsIdentity::from_issued(&authority.server()).unwrap();
        let tls = ServerTls::new(&identity, clients(roots)).unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address();
        let (trigger, drain) = Drain::new();
        let make = |_: &Arc<Connection>| service_fn(answer);
        let transport = Transport::Tls(tls);
        tokio::spawn(serve(listener, transport, Limits::default(), make, drain));
        Self {
            authority,
            address,
            _trigger: trigger,
        }
    }

    fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        groups: Vec<&'static dyn SupportedKxGroup>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let pem = self.authority.certificate_pem();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = CryptoProvider {
            kx_groups: groups,
            ..aws_lc_rs::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(8);
        config
    }

    /// Shakes hands and asks something, so that tickets have come.
    async fn connect(&self, config: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        let name = "localhost".try_into().unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        let asked = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(asked).await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        assert!(said.starts_with(b"HTTP/1.1 200"));
        stream
    }
}

fn all() -> Vec<&'static dyn SupportedKxGroup> {
    aws_lc_rs::ALL_KX_GROUPS.to_vec()
}

#[tokio::test]
async fn version_1_3_with_the_hybrid_group_comes_first() {
    let world = World::start(|_| ClientCertificates::None);
    let both = world.client(&[&TLS12, &TLS13], all());
    let stream = world.connect(&Arc::new(both)).await;
    let session = stream.get_ref().1;
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = session.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    for classic in [
        NamedGroup::X25519,
        NamedGroup::secp256r1,
        NamedGroup::secp384r1,
    ] {
        let mut one = all();
        one.retain(|group| group.name() == classic);
        let stream = world.connect(&Arc::new(world.client(&[&TLS13], one))).await;
        let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap();
        assert_eq!(group.name(), classic);
    }
}

#[tokio::test]
async fn version_1_2_is_forward_secret_and_authenticated() {
    let world = World::start(|_| ClientCertificates::None);
    for suite in aws_lc_rs::ALL_CIPHER_SUITES {
        let name = format!("{:?}", suite.suite());
        let modern = name.starts_with("TLS13_");
        let ephemeral = name.starts_with("TLS_ECDHE_");
        assert!(modern || ephemeral, "{name}");
        assert!(name.contains("GCM") || name.contains("CHACHA20"), "{name}");
    }
    let old = world.client(&[&TLS12], vec![aws_lc_rs::kx_group::X25519]);
    let stream = world.connect(&Arc::new(old)).await;
    let session = stream.get_ref().1;
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    let suite = session.negotiated_cipher_suite().unwrap().suite();
    assert!(
        matches!(
            suite,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        ),
        "{suite:?}"
    );
}

/// A hello of TLS 1.2 that offers these suites and no extended master secret unless it says so, as bytes.
fn hello(suites: &[u16], version: u16, extensions: &[u8]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(u16::try_from(suites.len() * 2).unwrap().to_be_bytes());
    body.extend(suites.iter().flat_map(|suite| suite.to_be_bytes()));
    body.extend([1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let mut message = vec![1];
    message.extend(length.get(1..).unwrap());
    message.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    record.extend(message);
    record
}

/// The type of the record that a hello is answered with: 22 goes on with the handshake, 21 is an alert.
async fn answered(world: &World, hello: &[u8]) -> u8 {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(hello).await.unwrap();
    stream.read_u8().await.unwrap()
}

#[tokio::test]
async fn what_is_not_forward_secret_or_older_is_refused() {
    let world = World::start(|_| ClientCertificates::None);
    // supported_groups: x25519; signature_algorithms: ecdsa_secp256r1_sha256; ec_point_formats; extended_master_secret.
    let usual = [
        0, 10, 0, 4, 0, 2, 0, 29, 0, 13, 0, 4, 0, 2, 4, 3, 0, 11, 0, 2, 1, 0, 0, 23, 0, 0,
    ];
    let without_secret = usual.get(..usual.len() - 4).unwrap();
    const ECDHE_AES_128_GCM: u16 = 0xc02b;
    assert_eq!(
        answered(&world, &hello(&[ECDHE_AES_128_GCM], 0x0303, &usual)).await,
        22
    );
    for (what, hello) in [
        (
            "RSA key exchange",
            hello(&[0x009c, 0x002f, 0x0035], 0x0303, &usual),
        ),
        ("static ECDH", hello(&[0xc02d], 0x0303, &usual)),
        ("CBC", hello(&[0xc009, 0xc023], 0x0303, &usual)),
        ("3DES and RC4", hello(&[0xc008, 0xc007], 0x0303, &usual)),
        ("no encryption", hello(&[0x0000, 0xc006], 0x0303, &usual)),
        ("TLS 1.1", hello(&[ECDHE_AES_128_GCM], 0x0302, &usual)),
        ("TLS 1.0", hello(&[ECDHE_AES_128_GCM], 0x0301, &usual)),
        (
            "no extended master secret",
            hello(&[ECDHE_AES_128_GCM], 0x0303, without_secret),
        ),
    ] {
        assert_eq!(answered(&world, &hello).await, 21, "{what}");
    }
}

#[tokio::test]
async fn sessions_are_resumed_where_no_certificate_was_verified() {
    type Clients = fn(TrustRoots) -> ClientCertificates;
    let cases: [(Clients, HandshakeKind); 3] = [
        (|_| ClientCertificates::None, HandshakeKind::Resumed),
        (|_| ClientCertificates::Held, HandshakeKind::Resumed),
        (ClientCertificates::Optional, HandshakeKind::Full),
    ];
    for (clients, expected) in cases {
        let world = World::start(clients);
        for version in [&TLS13, &TLS12] {
            let config = Arc::new(world.client(&[version], vec![aws_lc_rs::kx_group::X25519]));
            let first = world.connect(&config).await;
            assert_eq!(
                first.get_ref().1.handshake_kind(),
                Some(HandshakeKind::Full)
            );
            let second = world.connect(&config).await;
            let kind = second.get_ref().1.handshake_kind();
            assert_eq!(kind, Some(expected), "{version:?}");
        }
    }
}

#[tokio::test]
async fn nothing_is_read_before_the_handshake_has_ended() {
    let world = World::start(|_| ClientCertificates::None);
    let mut config = world.client(&[&TLS13], vec![aws_lc_rs::kx_group::X25519]);
    config.enable_early_data = true;
    let config = Arc::new(config);
    world.connect(&config).await;
    let name = "localhost".try_into().unwrap();
    let mut again = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
    assert!(again.early_data().is_none(), "the ticket allows none");
}
