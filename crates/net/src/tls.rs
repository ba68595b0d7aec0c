//! TLS on both sides: rustls with aws-lc-rs, TLS 1.2 and 1.3, the hybrid X25519MLKEM768 preferred.
//!
//! Not here: which certificate authority to trust (the caller always says), and what a peer's certificate means.

pub mod pins;

use crate::Peer;
use arc_swap::ArcSwap;
use countersign_base::{Conditional, NoTls};
use countersign_crypto::x509::{IssuedCertificate, PeerCertificate, X509Error};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore,
    ServerConfig, SignatureScheme, SupportedProtocolVersion,
};
use std::fmt;
use std::sync::{Arc, LazyLock};

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
static VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
/// TLS sessions that a client keeps for resumption, over all its servers.
const CLIENT_SESSIONS_MAX: usize = 256;

/// Why certificates, keys or roots can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate chain, the key or their match.
    #[error("the certificate or its key can't be used")]
    Identity(#[source] rustls::Error),
    /// The PEM text.
    #[error(
        "the PEM file can't be read: expected certificates, or one PKCS#8, SEC1 or PKCS#1 private key"
    )]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// What rustls refused in the configuration as a whole.
    #[error("TLS can't be set up")]
    Setup(#[source] rustls::Error),
    /// No root, or one that is not a certificate.
    #[error("the trusted certificates can't be used")]
    Roots,
}

/// A certificate chain with its private key, ready to prove an identity.
#[derive(Clone)]
pub struct TlsIdentity(Arc<CertifiedKey>);

impl TlsIdentity {
    /// From what our own certificate authority issued.
    ///
    /// # Errors
    /// When the key does not belong to the certificate.
    pub fn from_issued(issued: &IssuedCertificate) -> Result<Self, TlsError> {
        let chain = issued
            .chain_der
            .iter()
            .cloned()
            .map(CertificateDer::from)
            .collect();
        let key = PrivatePkcs8KeyDer::from(issued.key_der.expose().clone());
        Self::new(chain, PrivateKeyDer::Pkcs8(key))
    }

    /// From PEM text: the chain, leaf first, and its key.
    ///
    /// # Errors
    /// When either can't be read, or the key does not belong to the certificate.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(TlsError::Pem)?;
        Self::new(
            chain,
            PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Pem)?,
        )
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        CertifiedKey::from_der(chain, key, &PROVIDER)
            .map(|certified| Self(Arc::new(certified)))
            .map_err(TlsError::Identity)
    }
}

/// The certificate authorities that a peer's certificate must come from. There is no built-in list: whoever connects says whom to trust.
#[derive(Clone)]
pub struct TrustRoots(Arc<RootCertStore>);

impl TrustRoots {
    /// From certificates in DER.
    ///
    /// # Errors
    /// When there is none, or one is not a certificate.
    pub fn from_der<'a>(
        certificates: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots
                .add(CertificateDer::from(certificate.to_vec()))
                .map_err(|_| TlsError::Roots)?;
        }
        Self::not_empty(roots)
    }

    /// From PEM text with one certificate or more.
    ///
    /// # Errors
    /// When there is none, or one is not a certificate.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots
                .add(certificate.map_err(TlsError::Pem)?)
                .map_err(|_| TlsError::Roots)?;
        }
        Self::not_empty(roots)
    }

    /// From a machine's own bundle: certificates that cannot be used are left out, as browsers do.
    ///
    /// # Errors
    /// When none can be used.
    pub fn from_bundle(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let readable = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
        let (_added, _left_out) = roots.add_parsable_certificates(readable);
        Self::not_empty(roots)
    }

    fn not_empty(roots: RootCertStore) -> Result<Self, TlsError> {
        if roots.is_empty() {
            Err(TlsError::Roots)
        } else {
            Ok(Self(Arc::new(roots)))
        }
    }
}

/// What a listener does about certificates of clients.
#[derive(Clone)]
pub enum ClientCertificates {
    /// Asked for, and taken from whoever holds its key: who stands behind a certificate is asked where it is used, because the answer differs from tenant to
    /// tenant, and a self-signed one has nobody (RFC 8705 §2.2).
    Held,
    /// Never asked for, so that browsers show no dialog.
    None,
    /// Asked for; a client without one is served, a client with one that does not verify is not.
    Optional(TrustRoots),
    /// Without one from these authorities there is no connection.
    Required(TrustRoots),
}

/// The TLS side of a listener. Clones share the certificate, and [`ServerTls::replace`] swaps it for the handshakes to come.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    certificate: Arc<HotCertificate>,
}

impl ServerTls {
    /// TLS with this identity, offering HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// When rustls refuses the roots or has no randomness for its ticket keys.
    pub fn new(identity: &TlsIdentity, clients: ClientCertificates) -> Result<Self, TlsError> {
        Self::speaking(identity, clients, Alpn::Http2OrHttp1)
    }

    /// TLS with this identity, offering these versions of HTTP.
    ///
    /// # Errors
    /// As [`ServerTls::new`].
    pub fn speaking(
        identity: &TlsIdentity,
        clients: ClientCertificates,
        alpn: Alpn,
    ) -> Result<Self, TlsError> {
        let certificate = Arc::new(HotCertificate(ArcSwap::new(Arc::clone(&identity.0))));
        let builder = ServerConfig::builder_with_provider(Arc::clone(&PROVIDER))
            .with_protocol_versions(VERSIONS)
            .map_err(TlsError::Setup)?;
        let resumption = Resumed::by(&clients);
        let builder = match client_verifier(clients)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config =
            builder.with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = alpn.protocols();
        // Without it a session of TLS 1.2 can be spliced to another (RFC 7627).
        config.require_ems = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        match resumption {
            Resumed::Never => config.send_tls13_tickets = 0,
            Resumed::ByTicket => {
                // Tickets keep no state here, and their keys are this listener's own: a session of one listener never resumes at another
                // that asks more of its clients.
                config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Setup)?;
                config.send_tls13_tickets = 1;
            }
        }
        Ok(Self {
            config: Arc::new(config),
            certificate,
        })
    }

    /// Swaps the certificate for all handshakes from now on; connections that stand are not touched.
    pub fn replace(&self, identity: &TlsIdentity) {
        self.certificate.0.store(Arc::clone(&identity.0));
    }

    /// What takes connections of protocols that are not HTTP; those of HTTP are [`crate::serve`]'s.
    #[must_use]
    pub fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        tokio_rustls::TlsAcceptor::from(Arc::clone(&self.config))
    }
}

/// Whether clients may resume a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resumed {
    ByTicket,
    /// A session that is resumed does not verify the client's certificate again: it would outlive its end.
    Never,
}

impl Resumed {
    const fn by(clients: &ClientCertificates) -> Self {
        match clients {
            ClientCertificates::Held | ClientCertificates::None => Self::ByTicket,
            ClientCertificates::Optional(_) | ClientCertificates::Required(_) => Self::Never,
        }
    }
}

fn client_verifier(
    clients: ClientCertificates,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let builder = |roots: TrustRoots| {
        WebPkiClientVerifier::builder_with_provider(roots.0, Arc::clone(&PROVIDER))
    };
    let verifier = match clients {
        ClientCertificates::Held => return Ok(Some(Arc::new(HeldCertificate))),
        ClientCertificates::None => return Ok(None),
        ClientCertificates::Optional(roots) => builder(roots).allow_unauthenticated().build(),
        ClientCertificates::Required(roots) => builder(roots).build(),
    };
    verifier.map(Some).map_err(|_| TlsError::Roots)
}

/// Checks that the peer holds the key of its certificate, and that the certificate can be read. Nothing is said about who issued it.
#[derive(Debug)]
struct HeldCertificate;

impl ClientCertVerifier for HeldCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        chain(end_entity, intermediates)
            .map(|_certificate| ClientCertVerified::assertion())
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn chain(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<PeerCertificate, X509Error> {
    let intermediates = intermediates
        .iter()
        .map(|certificate| certificate.as_ref().to_vec());
    PeerCertificate::from_chain(leaf.as_ref().to_vec(), intermediates.collect())
}

struct HotCertificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for HotCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl fmt::Debug for HotCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HotCertificate")
    }
}

/// Which HTTP versions one side offers in its handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2 preferred, else HTTP/1.1.
    Http2OrHttp1,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
}

impl Alpn {
    fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http2OrHttp1 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::Http2 => vec![b"h2".to_vec()],
        }
    }
}

/// The TLS side of a client: whom it trusts, and as whom it may present itself.
#[derive(Clone)]
pub struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// TLS that trusts `roots` alone and presents `identity` to a server that asks for a certificate.
    ///
    /// # Errors
    /// When rustls refuses the roots.
    pub fn new(
        roots: &TrustRoots,
        identity: Option<&TlsIdentity>,
        alpn: Alpn,
    ) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
            .with_protocol_versions(VERSIONS)
            .map_err(TlsError::Setup)?
            .with_root_certificates(Arc::clone(&roots.0));
        let mut config = match identity {
            Some(identity) => {
                let single = rustls::sign::SingleCertAndKey::from(Arc::clone(&identity.0));
                builder.with_client_cert_resolver(Arc::new(single))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.protocols();
        config.resumption =
            Resumption::store(Arc::new(ClientSessionMemoryCache::new(CLIENT_SESSIONS_MAX)));
        Ok(Self(Arc::new(config)))
    }

    /// The connector of connections that must speak HTTP/1.1, because another protocol may begin in it.
    #[must_use]
    pub fn http1_connector(&self) -> tokio_rustls::TlsConnector {
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        tokio_rustls::TlsConnector::from(Arc::new(config))
    }

    /// The connector that does the handshakes.
    #[must_use]
    pub fn connector(&self) -> tokio_rustls::TlsConnector {
        tokio_rustls::TlsConnector::from(Arc::clone(&self.0))
    }
}

/// The certificate that the client of a finished handshake proved to hold. One that verifies but can't be read is broken, not absent.
pub(crate) fn peer_of(connection: &rustls::ServerConnection) -> Result<Peer, X509Error> {
    match connection.peer_certificates().and_then(<[_]>::split_first) {
        Some((leaf, intermediates)) => chain(leaf, intermediates).map(Conditional::Present),
        None => Ok(Conditional::Absent(NoTls::NoCertificate)),
    }
}
