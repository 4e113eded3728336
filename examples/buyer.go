// Buys one item of the current sale. Needs nothing but Go 1.19 or later: copy it and change it.
//
//	go run examples/buyer.go -user me
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	requestMax = 10 * time.Second
	releaseMax = 5 * time.Second
	backoffMin = 100 * time.Millisecond
	backoffMax = 5 * time.Second
	// Answers say Keep-Alive: timeout=7. A connection that is older may be closed just as it is used again.
	idleMax = 6 * time.Second
)

var errSoldOut = errors.New("the sale is sold out")

// problem is an answer that says no (RFC 9457).
type problem struct {
	Status       int `json:"-"`
	Code, Detail string
}

func (p *problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

// codeOf is the code of a problem that asking again won't change, and empty for any other error.
func codeOf(err error) string {
	var p *problem
	if !errors.As(err, &p) || p.Status >= 500 || p.Status == http.StatusTooManyRequests {
		return ""
	}
	return p.Code
}

type hold struct {
	Code      string
	ItemID    string `json:"item_id"`
	ExpiresAt string `json:"expires_at"`
}

type buyer struct {
	shop, token, user, item string
	think                   time.Duration
	client                  http.Client
}

// ask asks until the answer is final. What was decided once is answered again, so it may always ask again.
func (b *buyer) ask(ctx context.Context, method, path string, query url.Values, answer any) error {
	for backoff := backoffMin; ; backoff *= 2 {
		wait, err := b.send(ctx, method, b.shop+path+"?"+query.Encode(), answer)
		// A held item is free again after Retry-After, if its buyer lets it go.
		if code := codeOf(err); err == nil || code != "" && (code != "item_held" || b.item == "") {
			return err
		}
		if backoff > backoffMax {
			backoff = backoffMax
		}
		wait += time.Duration(rand.Int63n(int64(backoff)))
		if deadline, ok := ctx.Deadline(); ctx.Err() != nil || ok && time.Until(deadline) < wait {
			return err
		}
		// Without the query: a code is a secret.
		say("%s %s: %v; asks again in %.1f s", method, path, err, wait.Seconds())
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// send asks once. The duration is that of Retry-After.
func (b *buyer) send(ctx context.Context, method, address string, answer any) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return 0, err
	}
	if b.token != "" {
		request.Header.Set("Authorization", "Bearer "+b.token)
	}
	reply, err := b.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("no answer (%w)", errors.Unwrap(err)) // without the address, which has the code
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		return 0, err
	}
	if reply.StatusCode == http.StatusOK {
		return 0, json.Unmarshal(body, answer)
	}
	p := &problem{Status: reply.StatusCode}
	if json.Unmarshal(body, p) != nil || p.Code == "" {
		return 0, fmt.Errorf("no answer (%s, from a proxy?)", reply.Status)
	}
	seconds, _ := strconv.Atoi(reply.Header.Get("Retry-After"))
	return time.Duration(seconds) * time.Second, p
}

// availableItems are some of the current sale, from a random place: everybody else wants the first ones.
func (b *buyer) availableItems(ctx context.Context) ([]string, error) {
	for {
		var sale struct{ ID, Items, Sold int }
		if err := b.ask(ctx, "GET", "/sale", nil, &sale); err != nil {
			return nil, err
		}
		for _, after := range []int{rand.Intn(sale.Items), 0} {
			var page struct{ Items []struct{ ID string } }
			query := url.Values{"sale": {strconv.Itoa(sale.ID)}, "state": {"available"}, "after": {strconv.Itoa(after)}}
			if err := b.ask(ctx, "GET", "/items", query, &page); err != nil {
				return nil, err
			}
			var ids []string
			for _, item := range page.Items {
				ids = append(ids, item.ID)
			}
			if len(ids) > 0 {
				return ids, nil
			}
		}
		if sale.Sold == sale.Items {
			return nil, errSoldOut
		}
		say("all that is left is held; looks again in a second or two")
		if err := sleep(ctx, time.Second+time.Duration(rand.Int63n(int64(time.Second)))); err != nil {
			return nil, err
		}
	}
}

func (b *buyer) hold(ctx context.Context) (h hold, err error) {
	for {
		ids := []string{b.item}
		if b.item == "" {
			if ids, err = b.availableItems(ctx); err != nil {
				return h, err
			}
		}
		for _, id := range ids {
			query := url.Values{"id": {id}}
			if b.user != "" {
				query.Set("user_id", b.user)
			}
			err = b.ask(ctx, "POST", "/checkout", query, &h)
			// Somebody was quicker, or the sale has just ended: another item will do as well.
			code := codeOf(err)
			if b.item != "" || code != "item_held" && code != "item_sold" && code != "sale_closed" {
				return h, err
			}
		}
	}
}

// buy gives the purchase as it was answered.
func (b *buyer) buy(ctx context.Context) (bought json.RawMessage, err error) {
	h, err := b.hold(ctx)
	if err != nil {
		return nil, err
	}
	say("holds %s until %s", h.ItemID, h.ExpiresAt)
	query := url.Values{"code": {h.Code}}
	if err = sleep(ctx, b.think); err == nil {
		err = b.ask(ctx, "POST", "/purchase", query, &bought)
	}
	if err == nil || codeOf(err) != "" {
		return bought, err
	}
	// The purchase may have been decided all the same, and its answer be lost: the release tells.
	late, cancel := context.WithTimeout(context.Background(), releaseMax)
	defer cancel()
	switch kept := b.ask(late, "POST", "/release", query, new(json.RawMessage)); {
	case codeOf(kept) == "item_purchased":
		err = b.ask(late, "POST", "/purchase", query, &bought)
		return bought, err
	case kept == nil:
		say("gave %s back", h.ItemID)
	default:
		say("could not give %s back: its hold ends %s", h.ItemID, h.ExpiresAt)
	}
	return nil, err
}

func say(format string, values ...any) { fmt.Fprintf(os.Stderr, "buyer: "+format+"\n", values...) }

func sleep(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(duration):
		return nil
	}
}

const about = `usage: buyer -user ID | -token TOKEN [options]

Buys one item of the current sale and prints the purchase. Ctrl+C gives a held item back.

exit status: 0 purchased, 1 an error or no answer, 2 usage, 3 not to be had, 130 interrupted

`

func (b *buyer) readOptions() (patience time.Duration) {
	shop := os.Getenv("HOTCAKES_SHOP")
	if shop == "" {
		shop = "http://localhost:8080"
	}
	flag.StringVar(&b.shop, "shop", shop, "`URL` of the shop (HOTCAKES_SHOP)")
	flag.StringVar(&b.user, "user", "", "`ID` of whoever buys; a token names its buyer")
	flag.StringVar(&b.token, "token", "", "where the shop asks for one; better in HOTCAKES_TOKEN, because others see arguments")
	flag.StringVar(&b.item, "item", "", "`ID` of the item; otherwise any that is available")
	flag.DurationVar(&b.think, "think", 0, "between checkout and purchase, as paying takes: 30s")
	flag.DurationVar(&patience, "deadline", time.Minute, "for all of it")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), about)
		flag.PrintDefaults()
	}
	flag.Parse()
	if b.token == "" {
		b.token = os.Getenv("HOTCAKES_TOKEN")
	}
	address, err := url.Parse(b.shop)
	isAddress := err == nil && (address.Scheme == "http" || address.Scheme == "https") && address.Host != ""
	if !isAddress || b.user+b.token == "" || b.think < 0 || patience <= 0 || flag.NArg() > 0 {
		say("-shop must be like http://localhost:8080, -user or -token is needed, and times are at least 0")
		flag.Usage()
		os.Exit(2)
	}
	b.shop = strings.TrimSuffix(b.shop, "/")
	return patience
}

func main() {
	var b buyer
	patience := b.readOptions()
	b.client = http.Client{Timeout: requestMax, Transport: &http.Transport{IdleConnTimeout: idleMax}}
	rand.Seed(time.Now().UnixNano()) // Go 1.20 and later do it by themselves
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted.Done()
		stop() // the second Ctrl+C ends at once
	}()
	ctx, cancel := context.WithTimeout(interrupted, patience)
	defer cancel()
	bought, err := b.buy(ctx)
	if err == nil {
		fmt.Println(string(bought))
		return
	}
	var p *problem
	switch {
	case interrupted.Err() != nil:
		say("interrupted")
		os.Exit(130)
	case errors.Is(err, errSoldOut), errors.As(err, &p) && (p.Status == 404 || p.Status == 409 || p.Status == 410):
		say("%v", err)
		os.Exit(3)
	}
	say("%v", err)
	os.Exit(1)
}
