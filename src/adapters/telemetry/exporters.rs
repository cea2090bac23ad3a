//! Exporters that remember why something was lost, so that it can be said once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::SpanData,
};

/// Why something was lost.
#[derive(Debug, Default)]
pub(super) struct Losses(Mutex<Option<String>>);

impl Losses {
    fn note(&self, result: OTelSdkResult) -> OTelSdkResult {
        if let Err(error) = &result {
            let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| error.to_string());
        }
        result
    }

    /// Returns the first reason.
    pub(super) fn first(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Sends spans.
#[derive(Debug)]
pub(super) struct WatchedSpanExporter(SpanExporter, Arc<Losses>);

impl WatchedSpanExporter {
    pub(super) const fn new(inner: SpanExporter, losses: Arc<Losses>) -> Self {
        Self(inner, losses)
    }
}

impl opentelemetry_sdk::trace::SpanExporter for WatchedSpanExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.0.export(batch).await;
        self.1.note(result)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// Sends metrics.
#[derive(Debug)]
pub(super) struct WatchedMetricExporter(MetricExporter, Arc<Losses>);

impl WatchedMetricExporter {
    pub(super) const fn new(inner: MetricExporter, losses: Arc<Losses>) -> Self {
        Self(inner, losses)
    }
}

impl PushMetricExporter for WatchedMetricExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.0.export(metrics).await;
        self.1.note(result)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.0.temporality()
    }
}
