//! What the points of a resource and a scope have in common: the labels of who reports, and the series `target_info`.

use crate::{
    otlp::{
        labels::{Base, PointLabels},
        names::LabelNames,
        value::Attribute,
    },
    protobuf::{FIXED64, LEN, Malformed, Reader, key},
};

use super::Settings;

const SERVICE: &[u8] = b"service.name";
const NAMESPACE: &[u8] = b"service.namespace";
const INSTANCE: &[u8] = b"service.instance.id";
/// Bytes of a resource.
const RESOURCE_BYTES_MAX: usize = 1 << 20;
/// The field of attributes, in a resource; and in a scope.
const ATTRIBUTES: u32 = key(1, LEN);
const SCOPE_NAME: u32 = key(1, LEN);
const SCOPE_VERSION: u32 = key(2, LEN);
const SCOPE_ATTRIBUTES: u32 = key(3, LEN);

/// A resource, as its series see it.
#[derive(Debug, Default)]
pub(super) struct Resource {
    /// The labels of every series.
    pub(super) base: Base,
    /// Those of `target_info`, beside what its attributes become; empty if nothing identifies the resource.
    pub(super) identity: Base,
    /// What its attributes become in `target_info`; `None` if there are none to tell of.
    pub(super) told: Option<PointLabels>,
}

impl Resource {
    pub(super) fn read(
        resource: Option<Reader<'_>>,
        settings: &Settings,
        names: LabelNames,
    ) -> Result<Self, Malformed> {
        let mut read = Self::default();
        let Some(mut resource) = resource else { return Ok(read) };
        if resource.rest().len() > RESOURCE_BYTES_MAX {
            return Err(resource.malformed("a resource is larger than 1 MiB"));
        }
        let (mut service, mut namespace, mut instance) = (None, None, None);
        let (mut told, mut some) = (PointLabels::default(), false);
        let (mut name, mut value) = (Vec::new(), Vec::new());
        while !resource.is_done() {
            let field = resource.key()?;
            if field != ATTRIBUTES {
                resource.skip(field)?;
                continue;
            }
            let attribute = Attribute::read(resource.message()?)?;
            value.clear();
            attribute.put(&mut value)?;
            let identifying = match attribute.key {
                SERVICE => Some(&mut service),
                NAMESPACE => Some(&mut namespace),
                INSTANCE => Some(&mut instance),
                _ => None,
            };
            let identifies = identifying.is_some();
            if let Some(place) = identifying {
                *place = Some(value.clone());
            }
            if settings.keep_identifying || !identifies {
                told.add(names, &attribute)?;
                some = true;
            }
            name.clear();
            if settings.promote.takes(attribute.key) && names.put(attribute.key, &mut name).is_ok() {
                read.base.offer(&name, &value);
            }
        }
        if let Some(service) = service {
            let job = match namespace {
                Some(namespace) if !namespace.is_empty() => [&*namespace, b"/", &service].concat(),
                _ => service,
            };
            read.identity.set(b"job", &job);
            read.base.set(b"job", &job);
        }
        if let Some(instance) = instance {
            read.identity.set(b"instance", &instance);
            read.base.set(b"instance", &instance);
        }
        told.finish();
        read.told = (some && !read.identity.is_empty()).then_some(told);
        Ok(read)
    }

    /// The labels of every series of a scope: those of the resource and, where they are asked for, of the scope.
    pub(super) fn with_scope(
        &self,
        scope: Option<Reader<'_>>,
        schema: &[u8],
        settings: &Settings,
        names: LabelNames,
    ) -> Result<Base, Malformed> {
        let mut base = self.base.clone();
        let Some(mut scope) = scope.filter(|_| settings.scope_labels) else { return Ok(base) };
        let (mut name, mut version, mut attributes) = (&b""[..], &b""[..], Vec::new());
        while !scope.is_done() {
            match scope.key()? {
                SCOPE_NAME => name = scope.bytes()?,
                SCOPE_VERSION => version = scope.bytes()?,
                SCOPE_ATTRIBUTES => attributes.push(Attribute::read(scope.message()?)?),
                other => scope.skip(other)?,
            }
        }
        if name.is_empty() {
            return Ok(base);
        }
        let (mut label, mut value) = (Vec::new(), Vec::new());
        for attribute in attributes {
            label.clear();
            value.clear();
            attribute.put(&mut value)?;
            if names.put(&[b"otel_scope_", attribute.key].concat(), &mut label).is_ok() {
                base.set(&label, &value);
            }
        }
        base.set(b"otel_scope_name", name);
        base.set(b"otel_scope_version", version);
        base.set(b"otel_scope_schema_url", schema);
        Ok(base)
    }
}

/// A field of eight bytes, which a double is too.
#[inline]
pub(super) fn fixed64(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    reader.double().map(f64::to_bits)
}

/// The key of such a field.
pub(super) const fn fixed(field: u32) -> u32 {
    key(field, FIXED64)
}
