//! TLS over TCP, with credentials in the layout of QEMU's `tls-creds-x509`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpStream;
use tokio_rustls::rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName,
};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, Error as TlsError, RootCertStore,
    ServerConfig, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::address::Address;
use super::error::{Error, StreamEnd};

/// How TCP connections are wrapped in TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The directory of `ca-cert.pem`; of `client-cert.pem` and `client-key.pem`, if the server
    /// wants them, or of `server-cert.pem` and `server-key.pem`, where we are the server; and of `ca-crl.pem`, if
    /// certificates are revoked.
    pub creds: PathBuf,
    /// The name that the server's certificate must be for. Defaults to the address's host.
    pub hostname: Option<String>,
}

/// A connection whose handshake is complete on our side.
#[derive(Debug)]
pub(crate) struct TlsConnection {
    pub stream: TlsStream<TcpStream>,
    /// `None` if we are the server, which has checked its client already.
    pub trust: Option<Trust>,
}

/// Records whether the server accepts us. With TLS 1.3, a server checks our certificate after the
/// handshake, and QEMU closes the connection if it rejects it.
#[derive(Debug)]
pub(crate) struct Trust {
    identity: Arc<Identity>,
    creds: PathBuf,
}

impl Trust {
    /// Why the server closed the connection without sending anything.
    pub fn why_closed(&self) -> Option<String> {
        if !self.identity.asked.load(Ordering::Relaxed) {
            return None;
        }
        let creds = self.creds.display();
        Some(match self.identity.key {
            None => no_certificate(&self.creds),
            Some(_) => format!(
                "the server closed the connection after it saw {creds}/client-cert.pem; it \
                 probably does not accept it"
            ),
        })
    }

    /// The TLS reason for an error in reading, if there is one.
    pub fn why_failed(&self, error: &io::Error) -> Option<StreamEnd> {
        tls_error(error).map(|error| StreamEnd::Tls(describe(error, &self.creds)))
    }
}

fn no_certificate(creds: &Path) -> String {
    let creds = creds.display();
    format!("the server wants a client certificate, but {creds}/client-cert.pem does not exist")
}

/// Our certificate, if we have one, and whether the server asked for it.
#[derive(Debug)]
struct Identity {
    key: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}

impl Tls {
    /// Wraps a connection to `host`, the host of `address`.
    ///
    /// # Errors
    ///
    /// [`Error::TlsCreds`] or [`Error::Tls`].
    pub(super) async fn wrap(
        &self,
        stream: TcpStream,
        host: &str,
        address: &Address,
    ) -> Result<TlsConnection, Error> {
        let host = self.hostname.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Error::TlsCreds(format!("`{host}` is not a valid name for a certificate"))
        })?;
        let (config, identity) = self.config()?;
        let trust = Trust {
            identity,
            creds: self.creds.clone(),
        };
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => Ok(TlsConnection {
                stream: stream.into(),
                trust: Some(trust),
            }),
            Err(error) => Err(Error::Tls {
                address: address.clone(),
                why: self.why_no_handshake(&error, host, &trust),
            }),
        }
    }

    /// Wraps a connection that somebody made to `address`, where we listen. A client needs a certificate.
    ///
    /// # Errors
    ///
    /// [`Error::TlsCreds`] or [`Error::Tls`].
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        address: &Address,
    ) -> Result<TlsConnection, Error> {
        let config = self.server_config()?;
        match TlsAcceptor::from(config).accept(stream).await {
            Ok(stream) => Ok(TlsConnection {
                stream: stream.into(),
                trust: None,
            }),
            Err(error) => Err(Error::Tls {
                address: address.clone(),
                why: why_not_accepted(&error),
            }),
        }
    }

    /// Reads the credentials of a server, for each connection again: they may be renewed while we run.
    ///
    /// # Errors
    ///
    /// [`Error::TlsCreds`].
    pub(super) fn server_config(&self) -> Result<Arc<ServerConfig>, Error> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(self.roots()?);
        let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        let path = self.file("ca-crl.pem");
        if path.exists() {
            verifier = verifier
                .with_crls(read_all(&path, "revocation list")?)
                .only_check_end_entity_revocation()
                .allow_unknown_revocation_status();
        }
        let verifier = verifier.build().map_err(|error| unusable(&path, &error))?;
        let key = self.key("server", &provider)?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has what its versions need")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        Ok(Arc::new(config))
    }

    /// The authority's certificates.
    fn roots(&self) -> Result<RootCertStore, Error> {
        let path = self.file("ca-cert.pem");
        let mut roots = RootCertStore::empty();
        for certificate in read_all::<CertificateDer>(&path, "certificate")? {
            roots
                .add(certificate)
                .map_err(|error| unusable(&path, &error))?;
        }
        Ok(roots)
    }

    /// Reads the credentials, for each connection again: they may be renewed while we run.
    fn config(&self) -> Result<(Arc<ClientConfig>, Arc<Identity>), Error> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(self.roots()?);
        let mut verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
        let path = self.file("ca-crl.pem");
        if path.exists() {
            verifier = verifier
                .with_crls(read_all::<CertificateRevocationListDer>(
                    &path,
                    "revocation list",
                )?)
                .only_check_end_entity_revocation()
                .allow_unknown_revocation_status();
        }
        let verifier = verifier.build().map_err(|error| unusable(&path, &error))?;
        let identity = Arc::new(Identity {
            key: match self.file("client-cert.pem").exists() {
                true => Some(Arc::new(self.key("client", &provider)?)),
                false => None,
            },
            asked: AtomicBool::new(false),
        });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has what its versions need")
            .with_webpki_verifier(verifier)
            .with_client_cert_resolver(identity.clone());
        Ok((Arc::new(config), identity))
    }

    /// The certificate of `role`, `client` or `server`, with its key.
    fn key(&self, role: &str, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
        let path = self.file(&format!("{role}-cert.pem"));
        let certificates = read_all(&path, "certificate")?;
        let path = self.file(&format!("{role}-key.pem"));
        let key = PrivateKeyDer::from_pem_file(&path).map_err(|error| unusable(&path, &error))?;
        match CertifiedKey::from_der(certificates, key, provider) {
            Ok(key) => Ok(key),
            Err(TlsError::InconsistentKeys(_)) => Err(unusable(
                &path,
                &format!("it is not the private key of {role}-cert.pem"),
            )),
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.creds.join(name)
    }

    /// Describes why the handshake failed.
    fn why_no_handshake(&self, error: &io::Error, host: &str, trust: &Trust) -> String {
        let Some(tls) = tls_error(error) else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof => trust.why_closed().unwrap_or_else(|| {
                    "the server closed the connection during the handshake".to_owned()
                }),
                _ => error.to_string(),
            };
        };
        let TlsError::InvalidCertificate(certificate) = tls else {
            return describe(tls, &self.creds);
        };
        match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet".to_owned()
            }
            CertificateError::NotValidForName => format!(
                "the server's certificate is not for `{host}`; use --tls-hostname to expect another name"
            ),
            CertificateError::NotValidForNameContext { presented, .. } => {
                format!(
                    "the server's certificate is not for `{host}` but for {}; use --tls-hostname to \
                     expect another name",
                    names(presented)
                )
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "the server's certificate was not issued by the CA in {}",
                self.file("ca-cert.pem").display()
            ),
            CertificateError::Revoked => format!(
                "{} says that the server's certificate was revoked",
                self.file("ca-crl.pem").display()
            ),
            other => format!("the server's certificate cannot be used: {other}"),
        }
    }
}

/// Describes why the handshake with a client failed.
fn why_not_accepted(error: &io::Error) -> String {
    match tls_error(error) {
        Some(TlsError::NoCertificatesPresented) => "the client has no certificate".to_owned(),
        Some(TlsError::InvalidCertificate(why)) => {
            format!("the client's certificate is not valid: {why}")
        }
        Some(TlsError::InvalidMessage(_)) => "the client does not speak TLS".to_owned(),
        Some(error) => error.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the client closed the connection during the handshake".to_owned()
        }
        None => error.to_string(),
    }
}

/// Lists the names that a certificate is for.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no name at all (it has no subjectAltName)".to_owned();
    }
    // The library spells them `DnsName("a")` and `IpAddress(::1)`.
    let name = |spelled: &String| {
        let (_, name) = spelled.split_once('(').unwrap_or(("", spelled));
        format!("`{}`", name.trim_end_matches(')').trim_matches('"'))
    };
    presented.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Describes a TLS error.
fn describe(error: &TlsError, creds: &Path) -> String {
    use AlertDescription as Alert;
    match error {
        TlsError::InvalidMessage(_) => {
            "the server does not speak TLS: what it sent is plain text".to_owned()
        }
        TlsError::AlertReceived(Alert::CertificateRequired) => no_certificate(creds),
        TlsError::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied,
        ) => format!(
            "the server does not accept {}/client-cert.pem: {error}",
            creds.display()
        ),
        error => error.to_string(),
    }
}

/// The TLS error inside an I/O error, if there is one.
fn tls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// Reads everything of one kind, named `what`, in a PEM file. Having none is an error.
fn read_all<T: PemObject>(path: &Path, what: &str) -> Result<Vec<T>, Error> {
    let found: Result<Vec<T>, _> = T::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(unusable(path, &format!("it contains no {what}"))),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn unusable(path: &Path, why: &impl std::fmt::Display) -> Error {
    Error::TlsCreds(format!("cannot use {}: {why}", path.display()))
}
