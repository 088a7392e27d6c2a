//! How a command gets to a server, and says who asks: TLS and credentials, as flags.
//!
//! Secrets come out of files or the environment, never off the command line, where everybody on the machine could read them.

use crate::error::Error;
use barograph_server::config::{Secret, TlsClientConfig};
use hyper::header::HeaderValue;
use std::{ffi::OsString, fs, path::PathBuf};

/// The variable that holds a token, used where no flag says who asks.
const TOKEN: &str = "BAROGRAPH_TOKEN";

/// See the module.
#[derive(Clone, Default, clap::Args)]
pub(crate) struct Access {
    /// The authorities to trust in place of the system's, in PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The certificate to show, in PEM.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// The key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// Take any certificate the server shows; whoever is between can then read and change everything.
    #[arg(long)]
    insecure: bool,
    /// A file that holds the token to ask with; without one and without --user it is taken from BAROGRAPH_TOKEN.
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    token_file: Option<PathBuf>,
    /// The user to ask as, whose password is in --password-file.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// A file that holds the password of --user.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
}

impl Access {
    /// How TLS is spoken.
    pub(crate) fn tls(&self) -> TlsClientConfig {
        let file = |path: &Option<PathBuf>| path.clone().map(Secret::File);
        TlsClientConfig {
            ca: file(&self.ca_file),
            identity: file(&self.cert_file).zip(file(&self.key_file)),
            insecure_skip_verify: self.insecure,
            ..TlsClientConfig::default()
        }
    }

    /// Who asks, if it is told.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or what is in it cannot be sent.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, Error> {
        self.authorization_in(std::env::vars_os())
    }

    fn authorization_in(
        &self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Option<HeaderValue>, Error> {
        let text = match (&self.token_file, &self.user, &self.password_file) {
            (Some(path), ..) => format!("Bearer {}", secret(path)?),
            (None, Some(user), Some(path)) => {
                format!("Basic {}", base64(format!("{user}:{}", secret(path)?).as_bytes()))
            }
            _ => {
                let token = environment.into_iter().find(|(name, _)| name == TOKEN);
                match token.and_then(|(_, token)| token.into_string().ok()) {
                    Some(token) if !token.trim().is_empty() => format!("Bearer {}", token.trim()),
                    _ => return Ok(None),
                }
            }
        };
        let value = HeaderValue::try_from(text);
        let mut value = value.map_err(|_| Error::Usage("these credentials cannot be sent".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn secret(path: &PathBuf) -> Result<String, Error> {
    let text = fs::read_to_string(path).map_err(|error| Error::Failed {
        what: "cannot read a secret",
        source: format!("{}: {error}", path.display()).into(),
    })?;
    Ok(text.trim().to_owned())
}

/// RFC 4648, 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let all =
            group.iter().enumerate().fold(0_u32, |all, (i, byte)| all | u32::from(*byte) << (16 - 8 * i));
        for place in 0..4 {
            let letter = LETTERS[(all >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_told_as_http_has_it() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, "hunter2\n").unwrap();
        let access =
            Access { user: Some("ann".into()), password_file: Some(path.clone()), ..Access::default() };
        let environment = [("BAROGRAPH_TOKEN".into(), "bgt_1\n".into())];
        let told = |access: &Access| access.authorization_in(environment.clone()).unwrap();
        assert_eq!(told(&access).unwrap(), "Basic YW5uOmh1bnRlcjI=");
        let access = Access { token_file: Some(path), ..Access::default() };
        assert_eq!(told(&access).unwrap(), "Bearer hunter2");
        assert_eq!(told(&Access::default()).unwrap(), "Bearer bgt_1");
        assert_eq!(Access::default().authorization_in([]).unwrap(), None);
    }
}
