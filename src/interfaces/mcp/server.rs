//! One connection: the handshake, the client's roots, and which call does what.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest,
        CustomResult, ErrorCode, Implementation, ListResourceTemplatesResult, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
        ReadResourceResult, ResourceContents, ServerCapabilities, ServerConfig,
    },
    service::{NotificationContext, Peer, RequestContext},
};
use tokio::sync::Mutex;

use super::{
    commands::{McpState, ToolOutcome},
    json_lines,
    progress::CallProgress,
    question::Questioner,
    resources, tools,
    tools::ToolCall,
};
use crate::domain::mcp;

/// How long a client may take to name its roots.
const ROOTS: Duration = Duration::from_secs(10);

/// Serves one client.
#[derive(Debug, Clone)]
pub struct McpServer {
    bench: Arc<McpState>,
    /// Whether anything may be done for this client, once its roots are known; forgotten when they change.
    permitted: Arc<Mutex<Option<Result<(), String>>>>,
}

impl McpServer {
    /// Makes a server for one client.
    pub fn new(bench: Arc<McpState>) -> Self {
        Self {
            bench,
            permitted: Arc::default(),
        }
    }

    /// Returns whether anything may be done for this client. One that has no roots gets the root of the server.
    async fn permitted(&self, context: &RequestContext<RoleServer>) -> Result<(), String> {
        let has_roots = context
            .client_capabilities()
            .is_some_and(|known| known.roots.is_some());
        if !has_roots {
            return Ok(());
        }
        let mut known = self.permitted.lock().await;
        if let Some(known) = &*known {
            return known.clone();
        }
        let roots = roots(&context.peer)
            .await
            .map_err(|why| format!("the client did not name its roots: {why}"))?;
        let view = self.bench.services.world.eyes.as_ref();
        let real = |folder: PathBuf| {
            let real = view.and_then(|view| view.real_path(&folder));
            real.unwrap_or(folder)
        };
        let roots: Vec<PathBuf> = roots.into_iter().map(real).collect();
        let outside = mcp::roots_error(&self.bench.settings.root, &roots);
        let permitted = outside.map_or(Ok(()), Err);
        *known = Some(permitted.clone());
        permitted
    }

    async fn call(
        &self,
        call: ToolCall,
        client: &Questioner,
        progress: &Arc<CallProgress>,
    ) -> ToolOutcome {
        let bench = &self.bench;
        match call {
            ToolCall::RunCommand(call) => bench.run(call, client, progress).await,
            ToolCall::Checkpoint(call) => bench.checkpoint(call).await,
            ToolCall::Undo(call) => bench.undo(call).await,
            ToolCall::ListCheckpoints => {
                let words = ["checkpoint", "list"].map(str::to_owned);
                bench.run_child(words.to_vec()).await
            }
            ToolCall::ExplainPolicy(call) => bench.explain(&call.command, call.kind.as_deref()),
            ToolCall::PlanRun(call) => bench.plan_run(call, progress).await,
            ToolCall::PlanStatus(call) => bench.plan_status(call.run.as_deref()).await,
            ToolCall::TaskAdd(call) => bench.task_add(call).await,
            ToolCall::TaskStatus(call) => bench.task_status(call).await,
        }
    }
}

impl ServerHandler for McpServer {
    fn get_info(&self) -> ServerConfig {
        let can = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .build();
        let root = self.bench.settings.root.display();
        let wall = &self.bench.services.confinement;
        ServerConfig::new(can)
            .with_server_info(Implementation::new("tos", env!("CARGO_PKG_VERSION")))
            .with_instructions(format!(
                "Works in {root}. Commands are judged before they run ({wall}). A refusal says why: look for another way \
                 instead of writing the same command differently. Make a checkpoint before risky work; `undo` returns to it."
            ))
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = tools::parse_call(&request.name, request.arguments)
            .map_err(|error| ErrorData::invalid_params(error, None))?;
        let progress = Arc::new(CallProgress::default());
        let client = Questioner::of(&context);
        let permitted_call = async {
            self.permitted(&context).await?;
            self.call(call, &client, &progress).await
        };
        let told = async {
            match context.meta.get_progress_token() {
                Some(token) => progress.notify_client(&context.peer, token).await,
                None => std::future::pending().await,
            }
        };
        // Dropping the call ends everything it started.
        let outcome = tokio::select! {
            () = context.ct.cancelled() => Err("cancelled by the client".to_owned()),
            outcome = permitted_call => outcome,
            () = told => Err("the call was lost".to_owned()),
        };
        let text = |text: String| vec![ContentBlock::text(text)];
        Ok(match outcome {
            Ok(done) => CallToolResult::success(text(done)),
            Err(why) => CallToolResult::error(text(why)),
        }
        .into())
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::fixed()))
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(
            resources::templates(),
        ))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.permitted(&context)
            .await
            .map_err(|why| ErrorData::invalid_params(why, None))?;
        let read = self.bench.resource(&request.uri).await;
        let text = read.map_err(|why| ErrorData::internal_error(why, None))?;
        let missing = || format!("there is no resource {}", request.uri);
        let text = text.ok_or_else(|| ErrorData::resource_not_found(missing(), None))?;
        let contents = ResourceContents::text(text, request.uri.clone())
            .with_mime_type(resources::mime_type(&request.uri));
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let asked = serde_json::json!({ "method": request.method });
        Err(ErrorData::new(
            ErrorCode::METHOD_NOT_FOUND,
            "Method not found",
            Some(asked),
        ))
    }

    async fn on_roots_list_changed(&self, _context: NotificationContext<RoleServer>) {
        *self.permitted.lock().await = None;
    }
}

/// Asks a client for its roots; those that are no folders of this machine are left out.
#[expect(
    deprecated,
    reason = "the protocol is going to name roots in another way; the clients of today do it so"
)]
async fn roots(client: &Peer<RoleServer>) -> Result<Vec<PathBuf>, String> {
    match tokio::time::timeout(ROOTS, client.list_roots()).await {
        Ok(Ok(named)) => {
            let folders = named.roots.iter();
            Ok(folders
                .filter_map(|root| mcp::path_from_file_uri(&root.uri))
                .collect())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("there was no answer".to_owned()),
    }
}

/// Serves the client at standard input and output until it leaves; the error is a sentence.
pub async fn serve_stdio(bench: Arc<McpState>) -> Result<(), String> {
    let server = McpServer::new(bench);
    let (input, output) = rmcp::transport::stdio();
    let (streams, written) = json_lines::JsonLines::open(input, output).split();
    let served = match server.serve(streams).await {
        Ok(running) => running
            .waiting()
            .await
            .map(drop)
            .map_err(|error| error.to_string()),
        // A client that leaves before it said anything has done nothing wrong.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    json_lines::finish(written).await;
    served
}
