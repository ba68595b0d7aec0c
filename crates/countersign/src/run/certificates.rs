//! The certificates of our own listeners: what each asks of its callers, and how all are renewed together.

use super::RunError;
use countersign_control::Fabric;
use countersign_net::{ClientCertificates, ServerTls, TlsIdentity};

/// The TLS side of every listener, and the names that their certificates carry.
pub(super) struct Certificates {
    pub(super) identity: ServerTls,
    pub(super) identity_mtls: ServerTls,
    pub(super) control: ServerTls,
    pub(super) gateway: ServerTls,
    pub(super) names: Vec<String>,
}

impl Certificates {
    pub(super) fn new(fabric: &Fabric, names: &[String]) -> Result<Self, RunError> {
        let issued = fabric.authority().server(names, fabric.now())?;
        let identity = TlsIdentity::from_issued(&issued)?;
        // Browsers are never asked for a certificate; clients are, at the other door. Whose certificates are believed is each tenant's own affair, and a token
        // that is bound to one is bound to it whoever issued it, so these doors ask for the key and nothing more.
        let machines = || ServerTls::new(&identity, ClientCertificates::Held);
        Ok(Self {
            identity: ServerTls::new(&identity, ClientCertificates::None)?,
            identity_mtls: machines()?,
            // Machines sign in to the vault with a certificate.
            control: machines()?,
            gateway: machines()?,
            names: names.to_vec(),
        })
    }

    pub(super) fn renew(&self, fabric: &Fabric) -> Result<(), RunError> {
        let issued = fabric.authority().server(&self.names, fabric.now())?;
        let identity = TlsIdentity::from_issued(&issued)?;
        [
            &self.identity,
            &self.identity_mtls,
            &self.control,
            &self.gateway,
        ]
        .into_iter()
        .for_each(|tls| tls.replace(&identity));
        Ok(())
    }
}
