package gen

const (
	firstID       = 1000 // of people and auctions
	firstCategory = 10
	activePeople  = 1000
	inFlight      = 100 // auctions
	lead          = 10  // ids of people and auctions that are not there yet but already referred to
	hotGroup      = 100 // every so many people or auctions, another one is the hot one
)

// draw is the k-th of the event that is to be made.
func (g *Generator) draw(k uint64) uint64 { return output(g.state, k) }

// lastAuction is that of an auction itself, or the last before a bid.
func (g *Generator) lastAuction() uint64 { return g.epoch*3 + uint64(min(g.offset-1, 2)) }

func (g *Generator) hotPerson() uint64 { return g.epoch / hotGroup * hotGroup }

func (g *Generator) somePerson(r uint64) uint64 {
	active := min(g.epoch+1, activePeople)
	return g.epoch + 1 - active + hi(r, active+lead)
}

func (g *Generator) person(p *Person) {
	d0, d1, d2 := g.draw(0), g.draw(1), g.draw(2)
	p.ID = int64(g.epoch) + firstID
	p.Name = g.names[hi(d0, uint64(len(firstNames)))*uint64(len(lastNames))+lo(d0, uint64(len(lastNames)))]
	p.EmailAddress = g.emails.at(hi(d1, emailCount))
	card := lo(d1, cardCount) * cardLength
	p.CreditCard = g.cards[card : card+cardLength]
	p.City = cities[hi(d2, uint64(len(cities)))]
	p.State = states[lo(d2, uint64(len(states)))]
	p.DateTime = g.time
	p.Extra = g.extra(g.draw(3), uint64(8+len(p.Name)+len(p.EmailAddress)+len(p.CreditCard)+len(p.City)+len(p.State)), 200)
}

func (g *Generator) auction(a *Auction) {
	d2, d3, d4 := g.draw(2), g.draw(3), g.draw(4)
	a.ID = int64(g.lastAuction()) + firstID
	a.ItemName = g.wordsOf(g.draw(0), 20)
	a.Description = g.wordsOf(g.draw(1), 100)
	a.InitialBid = price(d2 >> 32)
	a.Reserve = a.InitialBid + price(d3>>32)
	a.DateTime = g.time
	life := max(2*(g.c.time(g.position+1+horizon)-g.time), 1)
	a.Expires = g.time + 1 + int64(lo(d3, uint64(life)))
	seller := g.hotPerson()
	if lo(d4, 4) == 0 {
		seller = g.somePerson(d4)
	}
	a.Seller = int64(seller) + firstID
	a.Category = firstCategory + int64(lo(d2, 5))
	a.Extra = g.extra(g.draw(5), uint64(8+len(a.ItemName)+len(a.Description)+40), 500)
}

// bid makes both of what it chooses between, the hot and the other, because a mispredicted jump would cost more: they are even chances.
func (g *Generator) bid(b *Bid) {
	d0, d1, d3 := g.draw(0), g.draw(1), g.draw(3)
	last := g.lastAuction()
	oldest := max(last, inFlight) - inFlight
	auction, hotAuction := oldest+hi(d0, last-oldest+1+lead), last/hotGroup*hotGroup
	if lo(d0, 2) > 0 {
		auction = hotAuction
	}
	b.Auction = int64(auction) + firstID
	bidder, hotBidder := g.somePerson(d1), g.hotPerson()+1
	if lo(d1, 4) > 0 {
		bidder = hotBidder
	}
	b.Bidder = int64(bidder) + 2*firstID // the original adds the first id twice
	b.Price = price(g.draw(2) >> 32)
	came, hotCame := hotChannels+hi(d3, coldOnes), hi(d3, hotChannels)
	if lo(d3, 2) > 0 {
		came = hotCame
	}
	b.Channel, b.URL = g.places.at(2*came), g.places.at(2*came+1)
	b.DateTime = g.time
	b.Extra = g.extra(g.draw(4), 32, 100)
}
