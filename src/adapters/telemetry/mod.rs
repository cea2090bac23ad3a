//! OTLP over HTTP: spans and metrics to a collector.
//!
//! Batches are sent by threads of their own, so no run waits for a collector; the end waits two seconds at most. What goes out
//! is cleaned of secrets first. Danger: a collector that answers slowly holds a thread, never the program.

mod exporters;
mod session;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Context, KeyValue, Value,
    metrics::{Counter, Histogram, Meter, MeterProvider as _},
    trace::{SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider},
};

use crate::{
    domain::{
        redaction::Redactor,
        telemetry::{AttributeValue, Attributes, Metric, Millis, TelemetryRecord},
    },
    ports::telemetry::Telemetry,
};
use exporters::{Losses, WatchedMetricExporter, WatchedSpanExporter};
pub use session::SessionExporter;

/// How long one request to the collector may take.
const REQUEST: Duration = Duration::from_secs(3);
/// How long the end waits for what is left.
const LAST: Duration = Duration::from_secs(2);
/// How often metrics are sent while a run lasts.
const INTERVAL: Duration = Duration::from_secs(10);

/// Sends to one collector.
pub struct OtlpTelemetry {
    redactor: Redactor,
    endpoint: String,
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
    tracer: SdkTracer,
    counters: BTreeMap<Metric, Counter<u64>>,
    histograms: BTreeMap<Metric, Histogram<f64>>,
    open: Mutex<BTreeMap<String, Context>>,
    losses: Arc<Losses>,
}

impl std::fmt::Debug for OtlpTelemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtlpTelemetry")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl OtlpTelemetry {
    /// Makes it for a collector, whose base address is `http://host:4318` or the like.
    pub fn new(endpoint: &str, redactor: Redactor) -> Result<Self, String> {
        let endpoint = checked_endpoint(endpoint)?;
        let losses = Arc::<Losses>::default();
        let client = client(&endpoint)?;
        let span_exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .with_timeout(REQUEST)
            .with_http_client(client.clone())
            .build()
            .map_err(|error| error.to_string())?;
        let metric_exporter = opentelemetry_otlp::MetricExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{endpoint}/v1/metrics"))
            .with_timeout(REQUEST)
            .with_http_client(client)
            .build()
            .map_err(|error| error.to_string())?;
        let resource = Resource::builder()
            .with_service_name("tos")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let watched = WatchedSpanExporter::new(span_exporter, Arc::clone(&losses));
        let processor = BatchSpanProcessor::builder(watched)
            .with_batch_config(BatchConfigBuilder::default().build())
            .build();
        let spans = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(resource.clone())
            .build();
        let watched = WatchedMetricExporter::new(metric_exporter, Arc::clone(&losses));
        let reader = PeriodicReader::builder(watched)
            .with_interval(INTERVAL)
            .build();
        let metrics = SdkMeterProvider::builder()
            .with_reader(reader)
            .with_resource(resource)
            .build();
        let meter = metrics.meter("tos");
        Ok(Self {
            redactor,
            endpoint,
            tracer: spans.tracer("tos"),
            counters: instruments(&meter, true, Meter::u64_counter),
            histograms: instruments(&meter, false, Meter::f64_histogram),
            spans,
            metrics,
            open: Mutex::default(),
            losses,
        })
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Context>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attributes(&self, attributes: Attributes) -> Vec<KeyValue> {
        let told = attributes.into_iter().map(|(name, value)| {
            let value = match value {
                AttributeValue::Text(text) if name == "process.command_line" => {
                    Value::from(self.redactor.clean_command(&text))
                }
                AttributeValue::Text(text) => Value::from(self.redactor.clean(&text)),
                AttributeValue::Whole(number) => Value::I64(number),
                AttributeValue::Number(number) => Value::F64(number),
                AttributeValue::Flag(flag) => Value::Bool(flag),
            };
            KeyValue::new(name, value)
        });
        told.collect()
    }

    fn record(&self, stream: &str, record: TelemetryRecord) {
        match record {
            TelemetryRecord::SpanStarted {
                key,
                parent,
                name,
                is_client,
                at,
                attributes,
            } => {
                let mut open = self.open();
                let parent = parent.and_then(|parent| open.get(&format!("{stream}/{parent}")));
                let within = parent.cloned().unwrap_or_default();
                let kind = if is_client {
                    SpanKind::Client
                } else {
                    SpanKind::Internal
                };
                let span = self
                    .tracer
                    .span_builder(self.redactor.clean(&name))
                    .with_kind(kind)
                    .with_start_time(moment(at))
                    .with_attributes(self.attributes(attributes))
                    .start_with_context(&self.tracer, &within);
                open.insert(format!("{stream}/{key}"), within.with_span(span));
            }
            TelemetryRecord::SpanEnded {
                key,
                at,
                attributes,
                error,
            } => {
                let found = self.open().remove(&format!("{stream}/{key}"));
                let Some(context) = found else {
                    return;
                };
                let span = context.span();
                span.set_attributes(self.attributes(attributes));
                if let Some(error) = error {
                    span.set_status(Status::error(self.redactor.clean(&error)));
                }
                span.end_with_timestamp(moment(at));
            }
            TelemetryRecord::Counted {
                metric,
                by,
                attributes,
            } => {
                if let Some(counter) = self.counters.get(&metric) {
                    counter.add(by, &self.attributes(attributes));
                }
            }
            TelemetryRecord::Measured {
                metric,
                value,
                attributes,
            } => {
                if let Some(histogram) = self.histograms.get(&metric) {
                    histogram.record(value, &self.attributes(attributes));
                }
            }
        }
    }
}

impl Telemetry for OtlpTelemetry {
    fn export(&self, stream: &str, records: Vec<TelemetryRecord>) {
        for record in records {
            self.record(stream, record);
        }
    }

    fn finish(&self) -> Option<String> {
        // What is still open was interrupted; a span that never ends would never be seen.
        let open = std::mem::take(&mut *self.open());
        for context in open.into_values() {
            context.span().set_status(Status::error("interrupted"));
            context.span().end();
        }
        let (spans, metrics) = (self.spans.clone(), self.metrics.clone());
        // Both at once: two collectors that are away cost no more time than one.
        let other = thread::spawn(move || metrics.shutdown_with_timeout(LAST));
        let spans = spans.shutdown_with_timeout(LAST);
        let late = spans.err().map(|error| error.to_string());
        let late = late.or_else(|| match other.join() {
            Ok(ended) => ended.err().map(|error| error.to_string()),
            Err(_) => Some("the exporter failed".to_owned()),
        });
        let why = self.losses.first().or(late)?;
        let why = self.redactor.clean(&why);
        Some(format!(
            "telemetry was not delivered to {}: {why}",
            self.endpoint
        ))
    }
}

/// Builds the instruments that add up, or the others.
fn instruments<'m, T, B>(
    meter: &'m Meter,
    is_counter: bool,
    build: impl Fn(&'m Meter, &'static str) -> B,
) -> BTreeMap<Metric, T>
where
    B: Instrument<T>,
{
    let wanted = Metric::ALL
        .into_iter()
        .filter(|metric| metric.is_counter() == is_counter);
    wanted
        .map(|metric| {
            let (name, unit, about) = metric.descriptor();
            (metric, build(meter, name).finished(unit, about))
        })
        .collect()
}

/// What builders of instruments have in common.
trait Instrument<T> {
    fn finished(self, unit: &'static str, about: &'static str) -> T;
}

impl Instrument<Counter<u64>> for opentelemetry::metrics::InstrumentBuilder<'_, Counter<u64>> {
    fn finished(self, unit: &'static str, about: &'static str) -> Counter<u64> {
        self.with_unit(unit).with_description(about).build()
    }
}

impl Instrument<Histogram<f64>> for opentelemetry::metrics::HistogramBuilder<'_, Histogram<f64>> {
    fn finished(self, unit: &'static str, about: &'static str) -> Histogram<f64> {
        self.with_unit(unit).with_description(about).build()
    }
}

fn moment(at: Millis) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(at).unwrap_or(0));
    SystemTime::UNIX_EPOCH + since
}

/// Returns why nobody takes a connection at the address of a collector; `None` where somebody does.
pub fn unreachable_because(endpoint: &str) -> Option<String> {
    let tried = checked_endpoint(endpoint).and_then(|base| {
        let parsed = reqwest::Url::parse(&base).map_err(|error| error.to_string())?;
        let addresses = parsed.socket_addrs(|| None);
        let address = addresses
            .map_err(|error| error.to_string())?
            .into_iter()
            .next();
        let address = address.ok_or("its host has no address")?;
        let connected = std::net::TcpStream::connect_timeout(&address, LAST);
        connected
            .map(drop)
            .map_err(|error| format!("{base}: {error}"))
    });
    tried.err()
}

/// Returns the base address of a collector without a slash at its end.
pub fn checked_endpoint(endpoint: &str) -> Result<String, String> {
    let parsed = reqwest::Url::parse(endpoint)
        .map_err(|error| format!("`{endpoint}` is no address of a collector: {error}"))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(format!(
            "`{endpoint}` is no address of a collector; write http://HOST:4318 (OTLP over HTTP)"
        ));
    }
    let base = endpoint.trim_end_matches('/');
    Ok(base.trim_end_matches("/v1/traces").to_owned())
}

/// Builds the client in a thread of its own: it has a runtime inside, which must not be made inside another one.
fn client(endpoint: &str) -> Result<reqwest::blocking::Client, String> {
    static PROVIDER: Once = Once::new();
    // A second installation fails and changes nothing, which is what the caller wants.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let is_plain = endpoint.starts_with("http:");
    let built = thread::spawn(move || {
        let mut builder = reqwest::blocking::Client::builder()
            .user_agent(concat!("tos/", env!("CARGO_PKG_VERSION")))
            .timeout(REQUEST)
            .connect_timeout(REQUEST)
            .redirect(reqwest::redirect::Policy::none());
        if is_plain {
            // Reading the certificates of the system costs time that nobody needs here.
            builder = builder.tls_certs_only([]);
        }
        builder.build()
    });
    match built.join() {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the client for the collector could not be built".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_base_of_a_collector() {
        assert_eq!(
            checked_endpoint("http://localhost:4318/").unwrap(),
            "http://localhost:4318"
        );
        assert_eq!(
            checked_endpoint("https://c/x/v1/traces").unwrap(),
            "https://c/x"
        );
        for wrong in ["localhost:4318", "grpc://c:4317", "http://", ""] {
            assert!(checked_endpoint(wrong).is_err(), "{wrong}");
        }
    }
}
