//! From the configuration's firewalls, lists and files to the gateway's: everything is read here, once for each load of the configuration.

use crate::config::Config;
use crate::config::routes::RouteSection;
use crate::config::threats::{FromSection, NetworkSection, Signal};
use countersign_gateway::RouteSpec;
use countersign_gateway::threats::geography::Geography;
use countersign_gateway::threats::network::{AddressList, Cidr, NETWORKS_MAX, NetworkRules};
use countersign_gateway::threats::waf::{Report, Waf, WafSpec};
use countersign_gateway::threats::{RouteThreats, Software};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Bytes of one file with networks.
const LIST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What routes refer to, read.
pub(super) struct Threats {
    wafs: BTreeMap<String, Arc<Waf>>,
    lists: BTreeMap<String, Arc<AddressList>>,
    geography: Option<Arc<Geography>>,
    listener: Option<FromSection>,
}

impl Threats {
    /// Reads everything.
    ///
    /// # Errors
    /// One line for each thing that cannot be used.
    pub(super) fn read(config: &Config) -> Result<Self, Vec<String>> {
        let mut failed = Vec::new();
        let mut threats = Self {
            wafs: BTreeMap::new(),
            lists: BTreeMap::new(),
            geography: None,
            listener: config.listeners.gateway_from.clone(),
        };
        for spec in &config.waf {
            match firewall(&config.dir, spec) {
                Ok(waf) => _ = threats.wafs.insert(spec.name.clone(), waf),
                Err(errors) => failed.extend(errors),
            }
        }
        for section in &config.networks {
            match list(&config.dir, section) {
                Ok(list) => _ = threats.lists.insert(section.name.clone(), Arc::new(list)),
                Err(error) => failed.push(format!("networks `{}`: {error}", section.name)),
            }
        }
        let files = &config.geography;
        if files.countries.is_some() || files.networks.is_some() {
            let path =
                |file: &Option<std::path::PathBuf>| file.as_ref().map(|file| config.dir.join(file));
            let (countries, networks) = (path(&files.countries), path(&files.networks));
            match Geography::read(countries.as_deref(), networks.as_deref()) {
                Ok(read) => threats.geography = Some(Arc::new(read)),
                Err(error) => failed.push(format!("geography: {error}")),
            }
        }
        if failed.is_empty() {
            Ok(threats)
        } else {
            Err(failed)
        }
    }

    /// The route with what it asks for.
    ///
    /// # Errors
    /// What an exclusion names that is not there.
    pub(super) fn protect(
        &self,
        mut spec: RouteSpec,
        section: &RouteSection,
    ) -> Result<RouteSpec, String> {
        let asked = &section.threats;
        let waf = match &asked.waf {
            Some((name, exclusions)) => {
                let waf = self
                    .wafs
                    .get(name)
                    .ok_or_else(|| format!("no firewall `{name}`"))?;
                let screen = waf.screen(exclusions);
                Some(screen.map_err(|error| {
                    format!("route `{}`, firewall `{name}`: {error}", section.name)
                })?)
            }
            None => None,
        };
        let froms: Vec<&FromSection> = self.listener.iter().chain(&asked.from).collect();
        let network = (!froms.is_empty()).then(|| self.rules(&froms));
        let places = network.as_ref().is_some_and(|rules| rules.needs_place());
        let threats = RouteThreats {
            work: asked.challenge.clone(),
            waf,
            network,
            geography: (places || asked.signals.contains(&Signal::Place))
                .then(|| self.geography.clone())
                .flatten(),
            software: if asked.signals.contains(&Signal::Software) {
                Software::Seen
            } else {
                Software::Unseen
            },
        };
        spec.threats = threats.asks().then(|| Arc::new(threats));
        Ok(spec)
    }

    /// What a route for webhooks asks for: where its callers come from.
    pub(super) fn around(&self, from: Option<&FromSection>) -> Option<Arc<RouteThreats>> {
        let froms: Vec<&FromSection> = self.listener.iter().chain(from).collect();
        if froms.is_empty() {
            return None;
        }
        let network = self.rules(&froms);
        let geography = network.needs_place().then(|| self.geography.clone());
        Some(Arc::new(RouteThreats {
            geography: geography.flatten(),
            network: Some(network),
            ..RouteThreats::default()
        }))
    }

    /// The rules of the listener and of the route: both must hold.
    fn rules(&self, froms: &[&FromSection]) -> NetworkRules {
        let lists = |names: &[String]| -> Vec<Arc<AddressList>> {
            names
                .iter()
                .filter_map(|name| self.lists.get(name).cloned())
                .collect()
        };
        let mut rules = NetworkRules::default();
        for from in froms {
            if !from.allow.is_empty() {
                rules.allow.push(lists(&from.allow));
            }
            rules.deny.extend(lists(&from.deny));
            rules.countries.extend(from.countries.clone());
            rules.asns_denied.extend(&from.asns_denied);
        }
        rules
    }
}

fn firewall(dir: &Path, spec: &WafSpec) -> Result<Arc<Waf>, Vec<String>> {
    let mut spec = spec.clone();
    for path in &mut spec.rules {
        *path = dir.join(&*path);
    }
    Waf::load(&spec).map_err(|errors| {
        let said = |error| format!("firewall `{}`: {error}", spec.name);
        errors.into_iter().map(said).collect()
    })
}

/// What `countersign check` tells of the firewalls of a configuration that holds.
pub(crate) fn firewalls(config: &Config) -> Vec<(String, Report)> {
    let loaded = config.waf.iter().filter_map(|spec| {
        let waf = firewall(&config.dir, spec).ok()?;
        Some((spec.name.clone(), waf.report().clone()))
    });
    loaded.collect()
}

fn list(dir: &Path, section: &NetworkSection) -> Result<AddressList, String> {
    let mut networks = section.addresses.clone();
    if let Some(file) = &section.file {
        let file = dir.join(file);
        let failed = |error: std::io::Error| {
            format!("`{}` cannot be read: {}", file.display(), error.kind())
        };
        if fs::metadata(&file).map_err(failed)?.len() > LIST_BYTES_MAX {
            return Err(format!(
                "`{}` is larger than {LIST_BYTES_MAX} bytes",
                file.display()
            ));
        }
        let text = fs::read_to_string(&file).map_err(failed)?;
        for (number, line) in text.lines().enumerate() {
            let network = line.split('#').next().unwrap_or_default().trim();
            if !network.is_empty() {
                let parsed = network.parse::<Cidr>();
                networks.push(parsed.map_err(|error| {
                    format!("{}:{}: `{network}`: {error}", file.display(), number + 1)
                })?);
            }
        }
    }
    if networks.len() > NETWORKS_MAX {
        return Err(format!("more than {NETWORKS_MAX} networks"));
    }
    Ok(networks.into_iter().collect())
}
