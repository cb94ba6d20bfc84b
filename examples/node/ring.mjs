// Rings a phone. The id is the order's: however often this is run, and whatever the SDK tries again, it rings once.
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";

const [order, mobile] = process.argv.slice(2);
if (!mobile) throw new Error("usage: node ring.mjs ORDER MOBILE");
const request = {
  message_id: `order-${order}`,
  mobile,
  template: "order_shipped",
  params: { order, carrier: "顺丰快递" },
};

// `send` may run for 45 seconds: who gives up sooner learns nothing, and invokes it again.
const lambda = new LambdaClient({ requestHandler: { connectionTimeout: 5_000, requestTimeout: 55_000 }, maxAttempts: 5 });
const reply = await lambda.send(
  new InvokeCommand({ FunctionName: "voice-gateway-send:live", Payload: JSON.stringify(request) }),
);
const answer = JSON.parse(Buffer.from(reply.Payload).toString());
if (reply.FunctionError) {
  // Nothing is known for certain. Under the same id it may be sent again.
  throw new Error(`${request.message_id}: ${answer.errorType}: ${answer.errorMessage}`);
}
console.log(answer.message_id, answer.status, answer.error?.message ?? "");
process.exitCode = answer.status === "rejected" ? 1 : 0;
