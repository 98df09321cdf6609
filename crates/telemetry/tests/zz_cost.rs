//! temp
use std::{task::{Context,Poll},time::Instant};
use gatewright_core::*; use gatewright_telemetry::*; use tower_layer::Layer; use tower_service::Service;
mod support;
#[derive(Clone)] struct Leaf;
impl Service<Call> for Leaf { type Response=Reply; type Error=Error; type Future=std::future::Ready<Result<Reply>>;
 fn poll_ready(&mut self,_:&mut Context<'_>)->Poll<Result<()>>{Poll::Ready(Ok(()))}
 fn call(&mut self,c:Call)->Self::Future{ drop(c); std::future::ready(Ok(Reply{head:Head::default(),frames:Frames::one(Frame::default())}))}}
#[derive(Clone)] struct Id; impl Middleware for Id { async fn handle(&self, call: Call, next: impl CallService)->Result<Reply>{ next.answer(call).await } }
async fn time(name:&str,s: impl CallService, n:u32){ let call=Call::new(Operation::Chat,&support::codec::Unread,"m",Body::Opaque(Default::default()));
 let t=Instant::now(); for _ in 0..n { let mut r=s.answer(call.clone()).await.unwrap(); while r.frames.next().await.is_some(){} } eprintln!("{name}: {:?}", t.elapsed()/n); }
#[tokio::test] async fn cost(){
 eprintln!("sizes: call {} reply {}", size_of::<Call>(), size_of::<Reply>());
 let off=Tracer::off(true);
 let three=|t:&Tracer| layer(Traced::call(t)).layer(layer(Traced::route(t)).layer(layer(Traced::attempt(t)).layer(Leaf)));
 for _ in 0..4 {
 time("none",Leaf,300000).await; time("ids",layer(Id).layer(layer(Id).layer(layer(Id).layer(Leaf))),300000).await; time("off",three(&off),300000).await;
 }
}
