// Rings a phone. The id is the order's: however often this is run, and whatever the SDK tries again, it rings once.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

type request struct {
	MessageID string         `json:"message_id"`
	Mobile    string         `json:"mobile"`
	Template  string         `json:"template"`
	Params    map[string]any `json:"params"`
}

type result struct {
	MessageID string `json:"message_id"`
	Status    string `json:"status"`
	Error     *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: ring ORDER MOBILE")
	}
	order, mobile := os.Args[1], os.Args[2]
	answer, err := send(context.Background(), request{
		MessageID: "order-" + order,
		Mobile:    mobile,
		Template:  "order_shipped",
		Params:    map[string]any{"order": order, "carrier": "顺丰快递"},
	})
	if err != nil {
		// Nothing is known for certain. Under the same id it may be sent again.
		log.Fatalf("order-%s: %v", order, err)
	}
	fmt.Println(answer.MessageID, answer.Status)
	if answer.Error != nil {
		fmt.Println(answer.Error.Code, answer.Error.Message)
	}
}

func send(ctx context.Context, asked request) (*result, error) {
	settings, err := config.LoadDefaultConfig(ctx,
		// `send` may run for 45 seconds: who gives up sooner learns nothing, and invokes it again.
		config.WithHTTPClient(&http.Client{Timeout: 55 * time.Second}),
		config.WithRetryMaxAttempts(5),
	)
	if err != nil {
		return nil, err
	}
	payload, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	reply, err := lambda.NewFromConfig(settings).Invoke(ctx, &lambda.InvokeInput{
		FunctionName: aws.String("voice-gateway-send:live"),
		Payload:      payload,
	})
	if err != nil {
		return nil, err
	}
	if reply.FunctionError != nil {
		return nil, fmt.Errorf("send raised %s", reply.Payload)
	}
	var answer result
	return &answer, json.Unmarshal(reply.Payload, &answer)
}
