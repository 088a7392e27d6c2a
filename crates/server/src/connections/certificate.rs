//! Who a client is by its certificate.

use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// A client whose certificate an authority vouches for that we believe. A certificate that nobody verified makes none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    /// The name of the subject, as RFC 4514 writes it: `CN=reader,O=Barograph`.
    pub(crate) subject: String,
    /// Its other names: of hosts, URIs, mail addresses and IP addresses.
    pub(crate) sans: Vec<String>,
}

impl ClientCertificate {
    /// Reads the names of a certificate.
    pub(super) fn read(certificate: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let certificate = certificate.tbs_certificate();
        let names = certificate.get_extension::<SubjectAltName>().ok()?;
        let sans = names.map(|(_, names)| names.0.iter().filter_map(text).collect()).unwrap_or_default();
        Some(Self { subject: certificate.subject().to_string(), sans })
    }
}

fn text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name)
        | GeneralName::Rfc822Name(name)
        | GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => match *bytes.as_bytes() {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            ref bytes => {
                <[u8; 16]>::try_from(bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string())
            }
        },
        _ => None,
    }
}
